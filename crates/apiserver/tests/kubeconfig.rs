//! The kubeconfig that the listener writes: for clients to read, for its owner's eyes only, and never over another file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use kube_client::config::Kubeconfig as Parsed;
use kubewright_apiserver::serve::{
    Authentication, Listener, ListenerConfig, ServeError, Transport,
};
use tempfile::TempDir;

async fn listener(transport: Transport, authentication: Authentication) -> Listener {
    let mut config = ListenerConfig::default();
    config.transport = transport;
    config.authentication = authentication;
    Listener::bind(config).await.unwrap()
}

async fn secure() -> Listener {
    listener(Transport::Https, Authentication::RandomToken).await
}

fn names(directory: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn clients_read_server_authority_and_token() {
    let listener = secure().await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("config");
    listener.kubeconfig().write(&path).unwrap();

    let parsed = Parsed::read_from(&path).unwrap();
    assert_eq!(parsed.current_context.as_deref(), Some("kubewright"));
    let cluster = parsed.clusters[0].cluster.as_ref().unwrap();
    assert_eq!(cluster.server.as_deref(), Some(listener.url()));
    assert!(cluster.certificate_authority_data.is_some());
    let context = parsed.contexts[0].context.as_ref().unwrap();
    assert_eq!(context.namespace.as_deref(), Some("default"));
    assert_eq!(
        context.user.as_deref(),
        Some(parsed.auth_infos[0].name.as_str())
    );
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(listener.token().unwrap().secret()));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(names(&directory), ["config"]);
}

#[tokio::test]
async fn plain_http_without_a_token_needs_neither() {
    let listener = listener(Transport::Http, Authentication::Anyone).await;
    let text = listener.kubeconfig().to_string();
    assert!(text.contains(&format!("server: \"{}\"", listener.url())));
    assert!(!text.contains("certificate-authority-data"));
    assert!(!text.contains("token"));
    Parsed::from_yaml(&text).unwrap();
}

#[tokio::test]
async fn a_token_of_any_characters_survives_the_file() {
    let odd = r#"a:"b"\#{}&*!|>'%@`,[]"#;
    let listener = listener(
        Transport::Https,
        Authentication::Token(odd.parse().unwrap()),
    )
    .await;
    let text = listener.kubeconfig().to_string();
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(value["users"][0]["user"]["token"], odd);
}

#[tokio::test]
async fn a_file_of_an_earlier_start_is_replaced_in_one_step() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("config");
    secure().await.kubeconfig().write(&path).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

    let listener = secure().await;
    listener.kubeconfig().write(&path).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), before, "written elsewhere and renamed");
    assert_eq!(after.permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&path).unwrap().contains(listener.url()));
    assert_eq!(names(&directory), ["config"]);
}

#[tokio::test]
async fn a_file_of_someone_else_is_left_alone() {
    let listener = secure().await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("config");
    let ours = listener.kubeconfig().to_string();
    let (marker, rest) = ours.split_once('\n').unwrap();
    let foreign = [
        "apiVersion: v1\nkind: Config\n".to_owned(),
        String::new(),
        // What kubectl leaves when it edits the file.
        rest.to_owned(),
        format!("{marker} Or so.\n{rest}"),
        format!("\n{ours}"),
    ];
    for content in foreign {
        fs::write(&path, &content).unwrap();
        let error = listener.kubeconfig().write(&path).unwrap_err();
        assert!(
            matches!(error, ServeError::ForeignKubeconfig { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let error = listener.kubeconfig().write(&link).unwrap_err();
    assert!(
        matches!(error, ServeError::ForeignKubeconfig { .. }),
        "{error}"
    );
    assert_eq!(names(&directory), ["config", "link"]);
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let kubeconfig = secure().await.kubeconfig();
    let directory = TempDir::new().unwrap();
    for path in [
        directory.path().join("missing/config"),
        directory.path().to_owned(),
        Path::new("").to_owned(),
    ] {
        let error = kubeconfig.write(&path).unwrap_err();
        assert!(matches!(error, ServeError::Kubeconfig { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!("cannot write {}", path.display())
        );
    }
    assert!(names(&directory).is_empty());
}
