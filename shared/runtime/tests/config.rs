//! Configuration: everything that is wrong is told at once.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use runtime::config::{
    AdminConfig, ConfigMistakes, DrainConfig, Fields, LogConfig, LogFormat, Secret, ServeConfig, Settings,
};
use tempfile::NamedTempFile;

#[derive(Debug)]
struct Example {
    http: ServeConfig,
    admin: AdminConfig,
    log: LogConfig,
    drain: DrainConfig,
    shard: u16,
    seeds: Vec<String>,
}

impl Example {
    fn read(fields: &mut Fields) -> Option<Self> {
        let http = ServeConfig::read(fields, "http");
        let admin = AdminConfig::read(fields);
        let log = LogConfig::read(fields);
        let drain = DrainConfig::read(fields);
        let shard = fields.required("shard");
        let seeds = fields.optional("cluster.seeds", Vec::new());
        Some(Self { http: http?, admin: admin?, log, drain, shard: shard?, seeds })
    }
}

fn read(toml: &str, variables: &[(&str, &str)]) -> Result<Example, ConfigMistakes> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Settings::load_from(Some(file.path()), "WALLET", variables)?.read(Example::read)
}

fn mistakes(toml: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let mistakes = read(toml, variables).unwrap_err();
    mistakes.iter().map(|mistake| (mistake.key.clone(), mistake.detail.clone())).collect()
}

const FINE: &str = r#"
    shard = 1
    [http]
    bind = "127.0.0.1:8080"
    connections_max = 7
    [admin]
    bind = "127.0.0.1:8180"
"#;

#[test]
fn file_is_read_and_absent_keys_have_defaults() {
    let example = read(FINE, &[]).unwrap();
    assert_eq!(example.http.bind, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(example.http.connections_max, 7);
    assert_eq!(example.http.body_bytes_max, 65_536);
    assert_eq!(example.http.header_timeout, Duration::from_secs(5));
    assert_eq!(example.admin.bind.port(), 8180);
    assert_eq!(example.log.format, LogFormat::Auto);
    assert_eq!(example.drain.timeout, Duration::from_secs(10));
    assert_eq!(example.shard, 1);
    assert!(example.seeds.is_empty());
}

#[test]
fn all_mistakes_are_told_in_one_run() {
    let toml = r#"
        [http]
        bind = "localhost"
        connections_max = "many"
        in_flight_max = 0
        header_timeout = 5
        [log]
        format = "xml"
        level = "a=b=c"
    "#;
    let told = mistakes(toml, &[("WALLET_DRAIN__TIMEOUT_MS", "-1")]);
    let expected = [
        ("http.bind", "must be an address such as 127.0.0.1:8080, is \"localhost\""),
        ("http.connections_max", "invalid type: string \"many\", expected usize"),
        ("http.in_flight_max", "must be 1 to 1000000, is 0"),
        ("admin.bind", "is missing; set it in the file or as WALLET_ADMIN__BIND"),
        ("log.format", "unknown variant `xml`, expected one of `auto`, `json`, `text`"),
        ("log.level", "must be trace, debug, info, warn, error, off or a filter of them"),
        ("drain.timeout_ms", "invalid value: integer `-1`, expected u64 (in WALLET_DRAIN__TIMEOUT_MS)"),
        ("shard", "is missing; set it in the file or as WALLET_SHARD"),
        ("http.header_timeout", "is unknown; did you mean http.header_timeout_ms?"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((key, detail), (key_expected, detail_expected)) in told.iter().zip(expected) {
        assert_eq!(key, key_expected);
        assert!(detail.starts_with(detail_expected), "{key}: {detail}");
    }
}

#[test]
fn mistakes_are_displayed_one_a_line() {
    let mistakes = read("[http]\nbind = \"127.0.0.1:1\"", &[]).unwrap_err();
    assert_eq!(
        mistakes.to_string(),
        "admin.bind: is missing; set it in the file or as WALLET_ADMIN__BIND\n\
         shard: is missing; set it in the file or as WALLET_SHARD"
    );
}

#[test]
fn environment_wins_over_the_file_and_spells_any_type() {
    let variables = [
        ("WALLET_HTTP__CONNECTIONS_MAX", "8"),
        ("WALLET_HTTP__REUSE_PORT", "true"),
        ("WALLET_CLUSTER__SEEDS", "127.0.0.1:1, 127.0.0.1:2"),
        ("WALLET_LOG__FORMAT", "json"),
        ("WALLETX_HTTP__BIND", "somebody else's"),
    ];
    let example = read(FINE, &variables).unwrap();
    assert_eq!(example.http.connections_max, 8);
    assert!(example.http.reuse_port);
    assert_eq!(example.seeds, ["127.0.0.1:1", "127.0.0.1:2"]);
    assert_eq!(example.log.format, LogFormat::Json);
}

#[test]
fn one_seed_in_the_environment_is_a_list_of_one() {
    let example = read(FINE, &[("WALLET_CLUSTER__SEEDS", "127.0.0.1:1")]).unwrap();
    assert_eq!(example.seeds, ["127.0.0.1:1"]);
}

#[test]
fn number_in_the_environment_stays_text_where_text_is_wanted() {
    let variables = [(OsString::from("WALLET_SECRET"), OsString::from("0123"))];
    let settings = Settings::load_from(None, "WALLET", variables).unwrap();
    let secret: Secret = settings.read(|fields| fields.required("secret")).unwrap();
    assert_eq!(secret.expose(), "0123");
    assert_eq!(format!("{secret:?}"), "Secret(hidden)");
}

#[test]
fn unknown_variable_is_refused_with_a_suggestion() {
    let told = mistakes(FINE, &[("WALLET_HTTP__BIDN", "127.0.0.1:1")]);
    let expected = "is unknown; did you mean http.bind? (in WALLET_HTTP__BIDN)";
    assert_eq!(told, [("http.bidn".to_owned(), expected.to_owned())]);
}

#[test]
fn integer_that_does_not_fit_is_refused_and_not_truncated() {
    let told = mistakes(&FINE.replace("shard = 1", "shard = 65537"), &[]);
    assert_eq!(told.len(), 1);
    assert!(told[0].1.starts_with("invalid value: integer `65537`, expected u16"), "{told:?}");
}

#[test]
fn file_that_is_absent_or_not_toml_is_a_mistake() {
    let absent = Settings::load_from(Some("/nonexistent/router.toml".as_ref()), "WALLET", []).unwrap_err();
    assert_eq!(absent.to_string(), "/nonexistent/router.toml: no such file");
    let told = mistakes("[http", &[]);
    assert_eq!(told.len(), 1);
}
