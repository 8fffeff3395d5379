//! Finding the programs: `initdb` and `postgres`, of the right major version.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{MAJOR_MIN, PostgresError};

/// A folder with `initdb` and `postgres`, and what version they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
    /// `15.14`.
    pub(super) version: String,
}

/// The programs for a cluster: those that were named, else the system's (newest first), else those
/// that `scripts/run` fetched into the cache. An existing cluster needs its own major version.
pub(super) fn find(
    named: Option<&Path>,
    wanted: Option<u32>,
    cluster: &Path,
) -> Result<Binaries, PostgresError> {
    let wrong = |wanted, found: Vec<&Binaries>| PostgresError::WrongVersion {
        cluster: cluster.to_path_buf(),
        wanted,
        found: found.iter().map(|bin| bin.version.as_str()).collect::<Vec<_>>().join(", "),
    };
    if let Some(folder) = named {
        let bin =
            look_at(folder).map_err(|why| PostgresError::BadBinaries { bin: folder.to_path_buf(), why })?;
        return match wanted {
            Some(wanted) if wanted != bin.major => Err(wrong(wanted, vec![&bin])),
            _ => Ok(bin),
        };
    }
    let mut found: Vec<Binaries> = Vec::new();
    for folder in system_folders().into_iter().chain(cache_folders()) {
        let Ok(bin) = look_at(&folder) else { continue };
        match wanted {
            // A new cluster takes the first one: the order says what is preferred.
            None => return Ok(bin),
            Some(wanted) if wanted == bin.major => return Ok(bin),
            Some(_) => found.push(bin),
        }
    }
    match wanted {
        Some(wanted) if !found.is_empty() => Err(wrong(wanted, found.iter().collect())),
        _ => Err(PostgresError::NoBinaries),
    }
}

/// Whether a folder has what is needed; the error says what is wrong with it.
fn look_at(folder: &Path) -> Result<Binaries, String> {
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    if !folder.join("initdb").is_file() {
        return Err("there is no initdb".to_string());
    }
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| format!("postgres does not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("postgres does not start: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let (version, major) =
        parse_version(&text).ok_or_else(|| format!("{} is no version that is understood", text.trim()))?;
    if major < MAJOR_MIN {
        return Err(format!("its version is {version}"));
    }
    Ok(Binaries { folder, major, version })
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` → `("15.14", 15)`.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.to_string(), version[..digits].parse().ok()?))
}

fn system_folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for parent in ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"]
    {
        folders.extend(numbered(Path::new(parent), ""));
        folders.extend(numbered(Path::new(parent), "postgresql@"));
    }
    folders.extend(numbered(Path::new("/usr"), "pgsql-"));
    folders.sort_by_key(|(major, _)| std::cmp::Reverse(*major));
    let mut folders: Vec<_> = folders.into_iter().map(|(_, path)| path).collect();
    // Not everybody keeps programs where distributions do.
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output()
        && output.status.success()
    {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    folders.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths)
            .filter(|f| f.join("postgres").is_file()),
    );
    folders
}

/// `<parent>/<prefix><major>/bin`, with the major version.
fn numbered(parent: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = name.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect()
}

/// What `scripts/run` fetched: `<cache>/annals/postgres-18.3.0/bin`, newest first.
fn cache_folders() -> Vec<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let Some(cache) = cache.map(|cache| cache.join("annals")) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(cache) else { return Vec::new() };
    let mut folders: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let major = name.strip_prefix("postgres-")?.split('.').next()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .collect();
    folders.sort_by(|a, b| b.cmp(a));
    folders.into_iter().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        let debian = parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n");
        assert_eq!(debian, Some(("15.14".to_string(), 15)));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1"), Some(("19beta1".to_string(), 19)));
        assert_eq!(parse_version("command not found"), None);
    }

    #[test]
    fn a_named_folder_without_the_programs_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = find(Some(folder.path()), None, Path::new("cluster")).expect_err("has no initdb");
        assert!(error.to_string().contains("there is no initdb"), "{error}");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_here_is_refused_with_both_versions() {
        let error = find(None, Some(9), Path::new("/data/postgres")).expect_err("nobody has version 9");
        let text = error.to_string();
        assert!(text.contains("was made by PostgreSQL 9"), "{text}");
    }
}
