use std::{collections::BTreeSet, io::Write as _};

use super::{load::environment_name, *};

const EXAMPLE: &str = include_str!("../../../annals.example.toml");

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect()
}

fn flags(pairs: &[(&str, &str)]) -> Flags {
    Flags { settings: environment(pairs), ..Flags::default() }
}

fn in_file(text: &str) -> (tempfile::NamedTempFile, Flags) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("writes");
    let flags = Flags { config: Some(file.path().to_path_buf()), settings: Vec::new() };
    (file, flags)
}

fn refusal(flags: &Flags, variables: &[(&str, &str)]) -> String {
    load(flags, environment(variables)).expect_err("is refused").to_string()
}

#[test]
fn with_nothing_given_the_defaults_hold() {
    let config = load(&Flags::default(), []).expect("loads").config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let (file, mut given) = in_file("listen = \"127.0.0.1:1\"\n[http]\nworkers = 1\nbody_bytes_max = 2048\n");
    let variables = [("ANNALS_LISTEN", "127.0.0.1:2"), ("ANNALS_HTTP_WORKERS", "2")];
    given.settings = environment(&[("listen", "127.0.0.1:3")]);
    let loaded = load(&given, environment(&variables)).expect("loads");
    assert_eq!(loaded.config.listen.port(), 3);
    assert_eq!(loaded.config.http.workers, 2);
    assert_eq!(loaded.config.http.body_bytes_max, 2048);
    let source = |key: &str| {
        loaded.settings.iter().find(|setting| setting.key == key).expect("is listed").source.clone()
    };
    assert_eq!(source("listen"), "command line");
    assert_eq!(source("http.workers"), "ANNALS_HTTP_WORKERS");
    assert_eq!(source("http.body_bytes_max"), file.path().display().to_string());
    assert_eq!(source("data"), "default");
}

#[test]
fn lists_and_switches_are_written_plainly_in_the_environment() {
    let variables = [
        ("ANNALS_ROLES", "commands, queries"),
        ("ANNALS_RATE_LIMITS_ENABLED", "off"),
        ("ANNALS_HTTP_TRUSTED_PROXIES", "127.0.0.0/8,::1"),
    ];
    let config = load(&Flags::default(), environment(&variables)).expect("loads").config;
    assert_eq!(config.roles, [NodeRole::Commands, NodeRole::Queries]);
    assert!(!config.rate_limits.enabled);
    assert_eq!(config.http.trusted_proxies.len(), 2);
}

#[test]
fn kafka_is_off_until_brokers_are_named_and_its_settings_are_checked() {
    assert!(Config::default().kafka_settings().is_none());
    let variables = [("KAFKA_BROKERS", "one:9092, two:9092"), ("ANNALS_KAFKA_PARTITIONS", "12")];
    let loaded = load(&Flags::default(), environment(&variables)).expect("loads");
    let kafka = loaded.config.kafka_settings().expect("is on");
    assert_eq!((kafka.brokers.len(), kafka.partitions, kafka.prefix.as_str()), (2, 12, "annals"));
    let brokers = loaded.settings.iter().find(|setting| setting.key == "kafka.brokers").expect("is listed");
    assert_eq!(brokers.source, "KAFKA_BROKERS");
    let wrong = |key: &str, value: &str| refusal(&flags(&[("kafka.brokers", "one:9092"), (key, value)]), &[]);
    let text = refusal(&Flags::default(), &[("KAFKA_BROKERS", "one")]);
    assert!(text.contains("kafka.brokers (KAFKA_BROKERS)") && text.contains("host:port"), "{text}");
    assert!(wrong("kafka.topic_prefix", "a b").contains("kafka.topic_prefix (command line)"));
    assert!(wrong("kafka.partitions", "0").contains("must be 1 to 1000"));
    assert!(wrong("kafka.properties", "nothing").contains("must be name=value"));
    assert!(wrong("kafka.properties", "acks=1").contains("the relay's own"));
    let text = wrong("kafka.properties", "no.such.thing=hunter2");
    assert!(text.contains("kafka.properties") && text.contains("no.such.thing"), "{text}");
}

#[test]
fn a_text_of_digits_stays_a_text() {
    let variables = [("ANNALS_TELEMETRY_SERVICE_NAME", "123")];
    let config = load(&Flags::default(), environment(&variables)).expect("loads").config;
    assert_eq!(config.telemetry.service_name, "123");
}

#[test]
fn a_wrong_value_is_refused_with_its_key_and_its_source() {
    let text = refusal(&Flags::default(), &[("ANNALS_HTTP_WORKERS", "many")]);
    assert!(text.contains("http.workers (ANNALS_HTTP_WORKERS)"), "{text}");
    assert!(text.contains("many"), "{text}");
    let text = refusal(&flags(&[("listen", "nowhere")]), &[]);
    assert!(text.contains("listen (command line)"), "{text}");
    let text = refusal(&flags(&[("roles", "commands,readers")]), &[]);
    assert!(text.contains("roles (command line)") && text.contains("readers"), "{text}");
    let text = refusal(&flags(&[("outbound.allow_hosts", "pds.internal,http://x/y")]), &[]);
    assert!(text.contains("outbound.allow_hosts (command line)") && text.contains("http://x/y"), "{text}");
    let text = refusal(&flags(&[("http.trusted_proxies", "10.0.0.0/33")]), &[]);
    assert!(text.contains("http.trusted_proxies (command line)") && text.contains("10.0.0.0/33"), "{text}");
    let (file, given) = in_file("[http]\nbody_bytes_max = \"big\"\n");
    let text = refusal(&given, &[]);
    assert!(
        text.contains("http.body_bytes_max") && text.contains(&file.path().display().to_string()),
        "{text}"
    );
    let text = refusal(&flags(&[("http.body_bytes_max", "3")]), &[]);
    assert!(text.contains("http.body_bytes_max (command line): must be 1024 to 67108864"), "{text}");
}

#[test]
fn an_unknown_key_is_refused_by_its_full_name_wherever_it_stands() {
    let (_file, given) = in_file("[http]\nworker = 1\n[colour]\nred = 1\n");
    let text = refusal(&given, &[]);
    assert!(text.contains("http.worker (") && text.contains("colour.red ("), "{text}");
    assert!(refusal(&flags(&[("http.worker", "1")]), &[]).contains("http.worker (command line)"));
    assert!(refusal(&Flags::default(), &[("ANNALS_LISTN", "x")]).contains("ANNALS_LISTN (environment)"));
}

#[test]
fn a_file_that_is_named_and_not_there_is_an_error_and_so_is_one_that_is_no_toml() {
    let missing = Flags { config: Some("/nowhere/annals.toml".into()), ..Flags::default() };
    assert!(refusal(&missing, &[]).contains("/nowhere/annals.toml"));
    let (_file, given) = in_file("listen = \n");
    assert!(refusal(&given, &[]).contains("TOML parse error"));
}

#[test]
fn secrets_are_never_shown_not_even_in_errors() {
    let key = "ab".repeat(32);
    let variables = [
        ("DATABASE_URL", "postgres://ada:hunter2@db.example.org/annals?sslpassword=hunter2"),
        ("ANNALS_SECRETS_MASTER_KEY", key.as_str()),
        ("ANNALS_SECRETS_FORMER_MASTER_KEYS", key.as_str()),
        ("ANNALS_TELEMETRY_SENTRY_DSN", "hunter2"),
    ];
    let loaded = load(&Flags::default(), environment(&variables)).expect("loads");
    let text = show(&loaded);
    assert!(!text.contains("hunter2") && !text.contains(&key), "{text}");
    assert!(text.contains("db.example.org"), "{text}");
    assert!(text.contains("DATABASE_URL"), "{text}");
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    let text = refusal(&Flags::default(), &[("ANNALS_SECRETS_TOKEN_KEY", "hunter2")]);
    assert!(text.contains("secrets.token_key") && !text.contains("hunter2"), "{text}");
    let (_file, given) = in_file("[secrets]\ntoken_key = 7777777\n");
    let text = refusal(&given, &[]);
    assert!(text.contains("secrets.token_key") && !text.contains("7777777"), "{text}");
}

#[test]
fn the_documented_file_has_every_setting_with_its_default() {
    let table: toml::Table = EXAMPLE.parse().expect("is TOML as it stands");
    assert!(table.values().all(|section| section.as_table().is_some_and(toml::Table::is_empty)));
    let documented: BTreeSet<String> = EXAMPLE
        .lines()
        .scan(String::new(), |section, line| {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                *section = format!("{name}.");
            }
            let key = line.strip_prefix('#').and_then(|line| line.split_once(" = ")).map(|(key, _)| key);
            Some(
                key.filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
                    .map(|key| format!("{section}{key}")),
            )
        })
        .flatten()
        .collect();
    let settings: BTreeSet<String> = load::defaults().into_keys().collect();
    assert_eq!(documented, settings);
    // What is set by default can be taken out of its comment and changes nothing.
    let is_key = |line: &str| line.starts_with('#') && line.contains(" = ") && !line.starts_with("# ");
    let unset = |line: &str| line.ends_with("# not set");
    let text: String = EXAMPLE
        .lines()
        .map(|line| if is_key(line) && !unset(line) { &line[1..] } else { line })
        .map(|line| format!("{line}\n"))
        .collect();
    let (_file, given) = in_file(&text);
    let config = load(&given, []).expect("loads").config;
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let names: BTreeSet<String> = load::defaults().keys().map(|key| environment_name(key)).collect();
    assert_eq!(names.len(), load::defaults().len());
}

#[test]
fn hidden_settings_exist() {
    for key in HIDDEN_KEYS {
        assert!(load::defaults().contains_key(key), "{key}");
    }
}

const ACME: &str = "[[auth.providers]]\nname = \"acme\"\nissuer = \"https://login.acme.example\"\nclient_id = \"us\"\n\
                    client_secret = \"hunter2\"\n";

#[test]
fn a_sign_in_provider_is_a_table_and_its_secret_is_shown_to_nobody() {
    let (file, given) = in_file(ACME);
    let loaded = load(&given, []).expect("loads");
    let provider = &loaded.config.auth.all()[0];
    assert_eq!((provider.name.as_str(), provider.client_id.as_str()), ("acme", "us"));
    let text = show(&loaded);
    assert!(text.contains("acme") && !text.contains("hunter2"), "{text}");
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    let (_file, given) = in_file(&ACME.replace("\"hunter2\"", "7777777"));
    let text = refusal(&given, &[]);
    assert!(text.contains("auth.providers.client_secret") && !text.contains("7777777"), "{text}");
    let (_file, given) = in_file(&format!("{ACME}colour = \"red\"\n"));
    let text = refusal(&given, &[]);
    assert!(text.contains("colour") && text.contains("no such setting"), "{text}");
    assert!(!text.contains(&file.path().display().to_string()));
}

#[test]
fn google_and_a_list_as_json_can_stand_in_the_environment() {
    let json = r#"[{"name":"hub","authorization_url":"https://a.example/1","token_url":"https://a.example/2",
                    "user_url":"https://a.example/3","client_id":"us"}]"#;
    let variables = [
        ("GOOGLE_CLIENT_ID", "us.apps.example"),
        ("GOOGLE_CLIENT_SECRET", "hunter2"),
        ("ANNALS_AUTH_PROVIDERS", json),
    ];
    let loaded = load(&Flags::default(), environment(&variables)).expect("loads");
    let names: Vec<String> = loaded.config.auth.all().into_iter().map(|provider| provider.name).collect();
    assert_eq!(names, ["google", "hub"]);
    assert!(!show(&loaded).contains("hunter2"));
    let text = refusal(&Flags::default(), &[("GOOGLE_CLIENT_ID", "us.apps.example")]);
    assert!(text.contains("auth.google_client_id (GOOGLE_CLIENT_ID)"), "{text}");
}

#[test]
fn a_sign_in_provider_that_can_t_be_one_is_refused_at_the_start() {
    let wrong = |from: &str, to: &str| {
        let (_file, given) = in_file(&ACME.replace(from, to));
        refusal(&given, &[])
    };
    assert!(wrong("\"acme\"", "\"A/B\"").contains("name must start with a letter"));
    assert!(wrong("https://login", "http://login").contains("issuer must begin with https://"));
    assert!(wrong("https://login", "ftp://login").contains("issuer must be a URL"));
    assert!(wrong("issuer", "token_url").contains("must have an issuer"));
    assert!(wrong("\"us\"", "\"\"").contains("client_id must not be empty"));
    let (_file, given) = in_file(&format!("{ACME}{ACME}"));
    assert!(refusal(&given, &[]).contains("is there twice"));
    let (_file, given) = in_file("[auth]\nreturn_urls = [\"http://app.example.org/in\"]\n");
    assert!(refusal(&given, &[]).contains("auth.return_urls"));
}
