//! The program as a process: what it prints, how it ends, and what it leaves behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube_client::api::{Api, PostParams};
use kube_client::config::{KubeConfigOptions, Kubeconfig};
use kube_client::{Client, Config};
use kubewright_apiserver::serve::{Listener, ListenerConfig};
use kubewright_apiserver::{ApiServer, Config as ServerConfig};
use replica_set_controller::demo::sample;
#[cfg(unix)]
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long anything may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// What it writes to standard error: a file never fills, as a pipe would that nobody reads.
    errors: NamedTempFile,
}

/// How a program ended.
#[derive(Debug)]
struct Ended {
    /// The lines that had not been read.
    lines: Vec<String>,
    errors: String,
    status: ExitStatus,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let errors = NamedTempFile::new().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_replica-set-controller"))
            .args(arguments)
            // What the environment says of clusters is not asked for.
            .env("KUBECONFIG", "/nowhere/kubeconfig")
            .env("HOME", "/nowhere")
            .env_remove("KUBERNETES_SERVICE_HOST")
            .env_remove("KUBERNETES_SERVICE_PORT")
            // No proxy leads to this machine.
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors.reopen().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines,
            errors,
        }
    }

    async fn line(&mut self) -> String {
        let line = timeout(DEADLINE, self.lines.next_line()).await;
        line.expect("in time").unwrap().expect("a line")
    }

    /// Reads until a line begins with `start`.
    async fn line_that_begins(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await;
            if line.starts_with(start) {
                return line;
            }
        }
    }

    async fn end(mut self) -> Ended {
        let end = async {
            let mut rest = Vec::new();
            while let Some(line) = self.lines.next_line().await.unwrap() {
                rest.push(line);
            }
            (rest, self.child.wait().await.unwrap())
        };
        let (lines, status) = timeout(DEADLINE, end).await.expect("in time");
        Ended {
            lines,
            errors: std::fs::read_to_string(self.errors.path()).unwrap(),
            status,
        }
    }

    #[cfg(unix)]
    fn terminate(&self) {
        let id = self.child.id().unwrap().cast_signed();
        kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    }
}

/// The path that the second line of the demo names.
fn kubeconfig_in(line: &str) -> PathBuf {
    let mut words = line.split_whitespace();
    words.find(|word| *word == "--kubeconfig").unwrap();
    words.next().unwrap().into()
}

#[tokio::test]
async fn the_tour_ends_well_and_leaves_nothing_behind() {
    let mut program = Program::start(&["--step-deadline", "2m"]);
    let first = program.line().await;
    assert!(first.contains("https://127.0.0.1:"), "{first}");
    let kubeconfig = kubeconfig_in(&program.line().await);
    let ended = program.end().await;
    assert!(ended.status.success(), "{ended:#?}");
    let last = ended.lines.last().unwrap();
    assert!(last.starts_with("OK 10 pods came to life"), "{last}");
    let steps = ended.lines.iter().filter(|line| line.starts_with("ok "));
    assert_eq!(steps.count(), 5);
    assert!(!kubeconfig.exists() && !kubeconfig.parent().unwrap().exists());
}

#[tokio::test]
async fn a_step_that_takes_too_long_fails_the_tour() {
    let ended = Program::start(&["--step-deadline", "1ms"]).end().await;
    assert_eq!(ended.status.code(), Some(1));
    let last = ended.lines.last().unwrap();
    assert!(
        last.starts_with("FAILED create a ReplicaSet of 10: not over within 1ms"),
        "{last}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn it_serves_kubectl_until_it_is_told_to_stop() {
    let mut program = Program::start(&["--serve", "--step-deadline", "2m"]);
    program.line().await;
    let path = kubeconfig_in(&program.line().await);
    program.line_that_begins("OK").await;

    // As kubectl does, over HTTPS and by the kubeconfig.
    let sets: Api<ReplicaSet> = Api::default_namespaced(client_by(&path).await);
    assert_eq!(
        sets.get("sample").await.unwrap().status.unwrap().replicas,
        3
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    program.terminate();
    let ended = program.end().await;
    assert!(ended.status.success(), "{ended:#?}");
    assert!(!path.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn an_interrupted_tour_cleans_up_as_well() {
    // The tour takes some seconds. Where this test gets no turn for that long, it is taken again.
    for _ in 0..10 {
        let mut program = Program::start(&["--step-deadline", "2m"]);
        program.line().await;
        let kubeconfig = kubeconfig_in(&program.line().await);
        program.terminate();
        let ended = program.end().await;
        assert!(!kubeconfig.exists());
        if ended
            .lines
            .last()
            .is_some_and(|line| line.starts_with("OK"))
        {
            continue;
        }
        assert_eq!(ended.status.code(), Some(130), "{ended:#?}");
        return;
    }
    panic!("nothing interrupts the tour");
}

async fn client_by(path: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let mut config = config.unwrap();
    // The environment may name one, which is not for this machine.
    config.proxy_url = None;
    Client::try_from(config).unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn with_a_kubeconfig_it_is_a_controller_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    let server = ApiServer::new(ServerConfig::default()).unwrap();
    let listener = Listener::bind(ListenerConfig::default()).await.unwrap();
    listener.kubeconfig().write(&path).unwrap();
    let url = listener.url().to_owned();
    let stop = CancellationToken::new();
    let served = listener.serve(server.service(), stop.clone());
    let test = async {
        let mut program = Program::start(&["--kubeconfig", path.to_str().unwrap()]);
        let first = program.line().await;
        assert!(
            first.contains(&url) && first.contains("(context "),
            "{first}"
        );
        let second = program.line().await;
        assert!(
            second.contains("--controllers=*,-replicaset-controller"),
            "{second}"
        );

        let sets: Api<ReplicaSet> = Api::default_namespaced(client_by(&path).await);
        assert!(sets.get_opt("sample").await.unwrap().is_none(), "no sample");
        sets.create(&PostParams::default(), &sample(4))
            .await
            .unwrap();
        let converged = async {
            loop {
                let status = sets.get("sample").await.unwrap().status.unwrap_or_default();
                if status.replicas == 4 {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(DEADLINE, converged).await.expect("in time");
        program.terminate();
        let ended = program.end().await;
        assert!(ended.status.success(), "{ended:#?}");
        assert_eq!(ended.lines, [""; 0], "it says nothing more");
        stop.cancel();
    };
    tokio::join!(served, test);
}

#[tokio::test]
async fn a_malformed_kubeconfig_is_named_with_what_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let cluster = "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
                   contexts: [{name: c, context: {cluster: c, user: u}}]\n\
                   users: [{name: u, user: {}}]\n";
    for (path, causes) in [
        (
            directory.path().join("missing"),
            ["failed to read", "No such file"],
        ),
        (write("torn", "clusters: ["), ["failed to parse", "YAML"]),
        (write("other", "hello: [1, 2"), ["failed to parse", "YAML"]),
        (
            write("empty", "apiVersion: v1\nkind: Config\n"),
            ["context", ""],
        ),
        (write("no-context", cluster), ["current context", ""]),
        (
            write("gone", &format!("{cluster}current-context: other\n")),
            ["load current context", "other"],
        ),
        (
            write(
                "bad-authority",
                &format!("{cluster}current-context: c\n").replace(
                    "127.0.0.1:1'",
                    "127.0.0.1:1', certificate-authority-data: '%%'",
                ),
            ),
            ["certificate authority", ""],
        ),
    ] {
        let text = path.to_str().unwrap().to_owned();
        let ended = Program::start(&["--kubeconfig", &text]).end().await;
        assert_eq!(ended.status.code(), Some(1), "{text}");
        let [line] = &ended.lines[..] else {
            panic!("{ended:#?}");
        };
        assert!(
            line.starts_with(&format!("FAILED kubeconfig {text}: ")),
            "{line}"
        );
        for cause in causes {
            assert!(line.contains(cause), "{line} should name {cause}");
        }
    }
}

#[tokio::test]
async fn wrong_flags_are_refused() {
    for (flags, what) in [
        (
            &["--kubeconfig", "x", "--in-cluster"][..],
            "cannot be used with",
        ),
        (&["--in-cluster", "--serve"], "cannot be used with"),
        (&["--context", "x"], "--kubeconfig"),
        (&["--feature-gates", "Nope=true"], "not a feature gate"),
        (&["--concurrent-replicaset-syncs", "0"], "zero"),
    ] {
        let ended = Program::start(flags).end().await;
        assert_eq!(ended.status.code(), Some(2), "{flags:?}");
        assert!(ended.errors.contains(what), "{}", ended.errors);
    }
}

#[tokio::test]
async fn outside_of_a_cluster_there_is_no_service_account() {
    let ended = Program::start(&["--in-cluster"]).end().await;
    assert_eq!(ended.status.code(), Some(1));
    let line = &ended.lines[0];
    assert!(
        line.starts_with("FAILED this is not a pod of a cluster"),
        "{line}"
    );
}
