//! Exec, attach and port-forward, as a client has them.

use std::time::Duration;

use kubewright_cri::{Code, v1};
use kubewright_process_runtime::testing::is_alive;
use kubewright_streaming::client::{Command, Dial, Transport};
use kubewright_streaming::{StreamOptions, TerminalSize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::{DEADLINE, Host, container, until};

const ALL: StreamOptions = StreamOptions {
    stdin: true,
    stdout: true,
    stderr: true,
    tty: false,
};

const TERMINAL: StreamOptions = StreamOptions {
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
};

impl Host {
    async fn exec_streams(
        &self,
        id: &str,
        script: &str,
        transport: Transport,
        options: StreamOptions,
    ) -> Command {
        let request = v1::ExecRequest {
            container_id: id.to_owned(),
            cmd: ["sh", "-c", script].map(str::to_owned).into(),
            tty: options.tty,
            stdin: options.stdin,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let url = self.runtime.exec(request).await.unwrap();
        let dial = Dial::tcp(&url).await.unwrap();
        dial.command(transport, options).await.unwrap()
    }

    async fn attach_streams(&self, id: &str, options: StreamOptions) -> Command {
        let request = v1::AttachRequest {
            container_id: id.to_owned(),
            tty: options.tty,
            stdin: options.stdin,
            stdout: options.stdout,
            stderr: options.stderr,
        };
        let url = self.runtime.attach(request).await.unwrap();
        let dial = Dial::tcp(&url).await.unwrap();
        dial.command(Transport::WEBSOCKET, options).await.unwrap()
    }
}

async fn type_in(command: &mut Command, text: &str) {
    let stdin = command.stdin.as_mut().unwrap();
    stdin.write_all(text.as_bytes()).await.unwrap();
    stdin.flush().await.unwrap();
}

/// Reads until the output ends with a text.
async fn read_until(command: &mut Command, end: &str) -> String {
    let stdout = command.stdout.as_mut().unwrap();
    let mut text = String::new();
    let read = async {
        while !text.ends_with(end) {
            let byte = stdout.read_u8().await.unwrap();
            text.push(char::from(byte));
        }
    };
    if timeout(DEADLINE, read).await.is_err() {
        panic!("no {end:?} comes after {text:?}");
    }
    text
}

#[tokio::test]
async fn a_command_has_three_streams_and_a_status() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    for transport in [Transport::WEBSOCKET, Transport::SPDY] {
        let script = "cat; echo bad >&2; pwd; exit 3";
        let mut command = host.exec_streams(&id, script, transport, ALL).await;
        type_in(&mut command, "hello\n").await;
        let output = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(
            stdout.starts_with("hello\n/") && stdout.ends_with("/root\n"),
            "{stdout}"
        );
        assert_eq!(output.stderr, b"bad\n");
        assert!(output.status.contains("exit status 3"), "{}", output.status);
    }
    host.end().await;
}

#[tokio::test]
async fn a_command_writes_much_and_loses_nothing() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let options = StreamOptions {
        stdin: false,
        ..ALL
    };
    let script = "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2";
    let command = host
        .exec_streams(&id, script, Transport::WEBSOCKET, options)
        .await;
    let output = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    assert_eq!(
        (output.stdout.len(), output.stderr.len()),
        (5_000_000, 5_000_000)
    );
    host.end().await;
}

#[tokio::test]
async fn a_command_has_a_terminal_with_a_size() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let script = "test -t 0 || exit 9; until [ \"$(stty size)\" = '40 100' ]; do sleep 0.01; done; \
                  echo sized; read line; echo \"got $line\"; exit 4";
    let mut command = host
        .exec_streams(&id, script, Transport::WEBSOCKET, TERMINAL)
        .await;
    let size = TerminalSize {
        width: 100,
        height: 40,
    };
    command.resize(size).await.unwrap();
    read_until(&mut command, "sized\r\n").await;
    type_in(&mut command, "this\n").await;
    read_until(&mut command, "got this\r\n").await;
    let output = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    assert!(output.status.contains("exit status 4"), "{}", output.status);
    host.end().await;
}

#[tokio::test]
async fn a_terminal_whose_client_is_gone_is_hung_up() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let script = "echo $$; sleep 1000";
    let mut command = host
        .exec_streams(&id, script, Transport::WEBSOCKET, TERMINAL)
        .await;
    let pid = read_until(&mut command, "\r\n")
        .await
        .trim()
        .parse()
        .unwrap();
    assert!(is_alive(pid));
    drop(command);
    until("the shell is gone", || !is_alive(pid)).await;
    host.end().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_run_is_told_to_the_client() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let id = host.run(&sandbox, "app", "sleep 1000").await;
    let request = v1::ExecRequest {
        container_id: id.clone(),
        cmd: vec!["no-such".to_owned()],
        stdout: true,
        ..v1::ExecRequest::default()
    };
    let url = host.runtime.exec(request.clone()).await.unwrap();
    let options = StreamOptions {
        stdout: true,
        ..StreamOptions::default()
    };
    let dial = Dial::tcp(&url).await.unwrap();
    let command = dial.command(Transport::WEBSOCKET, options).await.unwrap();
    let output = timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    assert!(
        output.status.contains("executable file not found in $PATH"),
        "{}",
        output.status
    );
    host.runtime
        .stop_container(&id, Duration::ZERO)
        .await
        .unwrap();
    let error = host.runtime.exec(request).await.unwrap_err();
    assert!(error.message().contains("CONTAINER_EXITED"), "{error}");
    host.end().await;
}

#[tokio::test]
async fn an_attached_client_speaks_with_the_container() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let mut config = container(
        "app",
        "while read line; do echo \"got $line\"; done; exit 6",
    );
    (config.stdin, config.stdin_once) = (true, true);
    let id = host.run_config(&sandbox, config).await;
    let mut one = host.attach_streams(&id, ALL).await;
    type_in(&mut one, "first\n").await;
    read_until(&mut one, "got first\n").await;
    let options = StreamOptions {
        stdin: false,
        ..ALL
    };
    let mut two = host.attach_streams(&id, options).await;
    // It takes a moment until the second one listens as well.
    let mut heard = String::new();
    while heard.is_empty() {
        type_in(&mut one, "again\n").await;
        let hear = read_until(&mut two, "got again\n");
        if let Ok(text) = timeout(Duration::from_millis(50), hear).await {
            heard = text;
        }
    }
    drop(two);
    drop(one.stdin.take());
    assert_eq!(
        host.exited(&id).await.exit_code,
        6,
        "its only client has nothing more to say"
    );
    let output = timeout(DEADLINE, one.output()).await.unwrap().unwrap();
    assert!(output.status.contains("Success"), "{}", output.status);
    assert!(host.log("web", "app").contains(" stdout F got first\n"));
    host.end().await;
}

#[tokio::test]
async fn an_attached_client_has_the_terminal_of_the_container() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let script = "until [ \"$(stty size)\" = '40 100' ]; do sleep 0.01; done; echo sized; \
                  read line; echo \"got $line\"; sleep 1000";
    let mut config = container("app", script);
    (config.stdin, config.tty) = (true, true);
    let id = host.run_config(&sandbox, config).await;
    let mut command = host.attach_streams(&id, TERMINAL).await;
    let size = TerminalSize {
        width: 100,
        height: 40,
    };
    command.resize(size).await.unwrap();
    read_until(&mut command, "sized\r\n").await;
    type_in(&mut command, "this\n").await;
    read_until(&mut command, "got this\r\n").await;
    drop(command);
    assert_eq!(
        host.exec(&id, "exit 0").await.exit_code,
        0,
        "the container goes on"
    );
    host.end().await;
}

#[tokio::test]
async fn ports_lead_to_the_address_of_the_sandbox() {
    let host = Host::start().await;
    let sandbox = host.sandbox("web").await;
    let status = host.runtime.pod_sandbox_status(&sandbox).await.unwrap();
    let address = status.status.unwrap().network.unwrap().ip;
    // There is no isolation: the test itself can be what listens in the pod.
    let listener = TcpListener::bind((address.as_str(), 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = host
        .runtime
        .port_forward(&sandbox, Vec::new())
        .await
        .unwrap();
    let dial = Dial::tcp(&url).await.unwrap();
    let forward = dial.port_forward(Transport::SPDY_FORWARD).await.unwrap();
    let mut forwarded = forward.connect(port).await.unwrap();
    let (mut socket, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    forwarded.stream.write_all(b"ping").await.unwrap();
    forwarded.stream.flush().await.unwrap();
    let mut text = [0; 4];
    timeout(DEADLINE, socket.read_exact(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&text, b"ping");
    socket.write_all(b"pong").await.unwrap();
    timeout(DEADLINE, forwarded.stream.read_exact(&mut text))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&text, b"pong");

    drop(listener);
    let mut refused = forward.connect(port).await.unwrap();
    let mut reason = String::new();
    let read = refused.error.read_to_string(&mut reason);
    timeout(DEADLINE, read).await.unwrap().unwrap();
    assert!(
        reason.contains(&format!("failed to connect to {address}:{port}")),
        "{reason}"
    );
    let error = host
        .runtime
        .port_forward(&sandbox, vec![70_000])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    host.end().await;
}
