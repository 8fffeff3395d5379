//! The command line as people use it: what holds and why, and what is wrong and where.

use std::process::Output;

use annals_tests::program;

fn annals(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let clean = std::env::vars().filter(|(name, _)| !name.starts_with("ANNALS_") && name != "DATABASE_URL");
    std::process::Command::new(program())
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .envs(clean)
        .envs(variables.iter().copied())
        .output()
        .expect("annals runs")
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line of one setting, its columns joined by one space.
fn line(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn config_shows_every_setting_its_value_and_its_source_with_secrets_hidden() {
    let key = "ab".repeat(32);
    let variables = [
        ("ANNALS_HTTP_WORKERS", "3"),
        ("DATABASE_URL", "postgres://ada:hunter2@db.example.org/annals"),
        ("ANNALS_SECRETS_MASTER_KEY", key.as_str()),
    ];
    let text = stdout(&annals(&["config", "--set", "listen=127.0.0.1:4000"], &variables));
    assert_eq!(line(&text, "http.workers"), "http.workers 3 ANNALS_HTTP_WORKERS");
    assert_eq!(line(&text, "listen"), "listen \"127.0.0.1:4000\" command line");
    assert_eq!(line(&text, "data"), "data \".annals\" default");
    assert_eq!(line(&text, "secrets.master_key"), "secrets.master_key [hidden] ANNALS_SECRETS_MASTER_KEY");
    assert!(line(&text, "database.url").contains("db.example.org"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains(&key), "{text}");
}

#[test]
fn a_file_in_the_working_folder_is_found_and_a_mistake_in_it_names_key_and_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("annals.toml");
    let config = || {
        let mut command = std::process::Command::new(program());
        command
            .arg("config")
            .current_dir(folder.path())
            .env_remove("DATABASE_URL")
            .output()
            .expect("annals runs")
    };
    std::fs::write(&file, "[http]\nworkers = 5\n").expect("writes");
    assert_eq!(line(&stdout(&config()), "http.workers"), "http.workers 5 annals.toml");
    std::fs::write(&file, "[http]\nworkers = 5\ncolour = \"red\"\n").expect("writes");
    let text = refusal(&config());
    assert!(text.contains("http.colour (annals.toml)"), "{text}");
    std::fs::write(&file, "[http]\nworkers = \"five\"\n").expect("writes");
    let text = refusal(&config());
    assert!(text.contains("http.workers (annals.toml)") && text.contains("five"), "{text}");
}

#[test]
fn serve_refuses_a_wrong_value_before_it_makes_anything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let data_text = data.display().to_string();
    let output = annals(&["serve", "--data", &data_text], &[("ANNALS_LOG_FORMAT", "xml")]);
    let text = refusal(&output);
    assert!(text.contains("log.format (ANNALS_LOG_FORMAT)") && text.contains("xml"), "{text}");
    assert!(!data.exists(), "nothing was made");
    let text = refusal(&annals(&["serve", "--role", "readers", "--data", &data_text], &[]));
    assert!(text.contains("readers") && text.contains("queries"), "{text}");
    let text = refusal(&annals(&["serve", "--listen", "here", "--data", &data_text], &[]));
    assert!(text.contains("--listen"), "{text}");
    let text = refusal(&annals(&["serve", "--data", &data_text], &[("ANNALS_LOG_FILTER", "loud=very")]));
    assert!(text.contains("log.filter"), "{text}");
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn help_teaches_how_to_start() {
    let text = stdout(&annals(&["--help"], &[]));
    for word in ["annals serve", "annals config", "annals.example.toml", "DATABASE_URL"] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    let text = stdout(&annals(&["serve", "--help"], &[]));
    for flag in ["--listen", "--data", "--role", "--rate-limits", "--config", "--set"] {
        assert!(text.contains(flag), "{flag} is not in:\n{text}");
    }
}
