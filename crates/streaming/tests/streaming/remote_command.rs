//! Exec and attach over each transport, by the client that the crate brings.

use crate::support::{CLOSING, COMMANDS, IN_OUT, OUT, Server, TTY, pattern, within};
use kubewright_streaming::client::{Dial, Transport};
use kubewright_streaming::{AttachRequest, StreamOptions, TerminalSize};
use tokio::io::AsyncWriteExt;

/// Upstream: `TestServeExecInContainer`, and `doClientStreams` of `server_test`.
#[tokio::test]
async fn outputs_and_success_arrive() {
    let server = Server::start().await;
    for transport in COMMANDS {
        let output = server.exec(transport, &["both"], OUT).await.output();
        let output = within(output).await.unwrap();
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b"out"[..], &b"err"[..])
        );
        match transport {
            Transport::Spdy("v3.channel.k8s.io") => assert_eq!(output.status, ""),
            _ => assert_eq!(output.status, r#"{"metadata":{},"status":"Success"}"#),
        }
    }
}

#[tokio::test]
async fn exit_codes_are_causes_of_a_failure() {
    let server = Server::start().await;
    for transport in COMMANDS {
        let output = server.exec(transport, &["exit", "42"], OUT).await.output();
        let status = within(output).await.unwrap().status;
        match transport {
            Transport::Spdy("v3.channel.k8s.io") => assert_eq!(
                status,
                "command terminated with non-zero exit code: exit status 42"
            ),
            _ => {
                let status: serde_json::Value = serde_json::from_str(&status).unwrap();
                assert_eq!(status["status"], "Failure");
                assert_eq!(status["reason"], "NonZeroExitCode");
                assert_eq!(status["details"]["causes"][0]["reason"], "ExitCode");
                assert_eq!(status["details"]["causes"][0]["message"], "42");
            }
        }
    }
}

#[tokio::test]
async fn what_a_runtime_says_is_an_internal_error() {
    let server = Server::start().await;
    for transport in CLOSING {
        let output = server.exec(transport, &["nothing"], OUT).await.output();
        let status = within(output).await.unwrap().status;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["code"], 500);
        assert_eq!(
            status["message"],
            "Internal error occurred: error executing command in container: no such command: nothing"
        );
    }
}

/// The end of standard input reaches the command, and what it was given comes back whole.
#[tokio::test]
async fn a_large_input_comes_back() {
    let server = Server::start().await;
    for transport in CLOSING {
        let input = pattern(4 << 20);
        let mut command = server.exec(transport, &["cat"], IN_OUT).await;
        let mut stdin = command.stdin.take().unwrap();
        let write = async {
            stdin.write_all(&input).await.unwrap();
            stdin.shutdown().await.unwrap();
        };
        let ((), output) = within(async { tokio::join!(write, command.output()) }).await;
        assert!(output.unwrap().stdout == input, "{transport:?}");
    }
}

/// One write of much becomes many frames, and one message of much is taken.
#[tokio::test]
async fn a_large_output_arrives() {
    let server = Server::start().await;
    let count = 2 << 20;
    for transport in COMMANDS {
        let command = ["write", &count.to_string()];
        let output = within(server.exec(transport, &command, OUT).await.output());
        assert!(
            output.await.unwrap().stdout == pattern(count),
            "{transport:?}"
        );
    }
}

/// A client's end of its input is not the end of the command, and the command's end is not held
/// up by what was typed too much.
#[tokio::test]
async fn a_command_may_end_before_its_input_does() {
    let server = Server::start().await;
    for transport in COMMANDS {
        let mut command = server.exec(transport, &["head", "3"], IN_OUT).await;
        let mut stdin = command.stdin.take().unwrap();
        // The command may end while this is still being written.
        let _ = stdin.write_all(&pattern(1 << 20)).await;
        let output = within(command.output()).await.unwrap();
        assert_eq!(output.stdout, pattern(3));
        let refused = stdin.write_all(b"more").await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
    }
}

/// A client that reads only after the command has ended gets all of the output, and the status.
///
/// Upstream: `slowclient_test`.
#[tokio::test]
async fn a_slow_client_gets_all_of_the_output() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let count = 512 << 10;
        let command = ["write", &count.to_string()];
        let command = server.exec(transport, &command, OUT).await;
        assert_eq!(server.event().await, "written");
        let output = within(command.output()).await.unwrap();
        assert!(output.stdout == pattern(count), "{transport:?}");
        assert!(!output.status.contains("Failure"));
    }
}

#[tokio::test]
async fn sizes_of_the_terminal_arrive() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let mut command = server.exec(transport, &["sizes"], TTY).await;
        for (width, height) in [(80, 24), (132, 43)] {
            command
                .resize(TerminalSize { width, height })
                .await
                .unwrap();
            assert_eq!(server.event().await, format!("{width}x{height}"));
        }
        drop(command);
        assert_eq!(server.event().await, "no more sizes");
    }
}

#[tokio::test]
async fn attach_is_connected_to_the_container() {
    let server = Server::start().await;
    let request = |container_id: &str| AttachRequest {
        container_id: container_id.to_owned(),
        streams: IN_OUT,
    };
    for transport in CLOSING {
        let url = server.handle.attach_url(request("c")).unwrap();
        let dial = Dial::tcp(&url).await.unwrap();
        let mut command = dial.command(transport, IN_OUT).await.unwrap();
        let mut stdin = command.stdin.take().unwrap();
        stdin.write_all(b"hello").await.unwrap();
        drop(stdin);
        let output = within(command.output()).await.unwrap();
        assert_eq!(output.stdout, b"hello");
        assert!(output.status.contains("Success"));

        let url = server.handle.attach_url(request("d")).unwrap();
        let dial = Dial::tcp(&url).await.unwrap();
        let command = dial.command(transport, IN_OUT).await.unwrap();
        let status = within(command.output()).await.unwrap().status;
        assert!(status.contains("error attaching to container: no such container: d"));
    }
}

/// A client that vanishes ends its input and closes the session; the command goes on until it
/// wants to end.
#[tokio::test]
async fn a_client_that_is_gone_is_noticed() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let mut command = server.exec(transport, &["wait"], IN_OUT).await;
        assert_eq!(server.event().await, "waiting");
        let stdin = command.stdin.as_mut().unwrap();
        stdin.write_all(b"12345").await.unwrap();
        stdin.flush().await.unwrap();
        // Something comes back only after what was sent before.
        tokio::task::yield_now().await;
        drop(command);
        let end = server.event().await;
        assert!(end.ends_with("bytes and the end"), "{end}");
        assert_eq!(server.event().await, "closed");
    }
}

#[tokio::test]
async fn writing_to_a_client_that_is_gone_fails() {
    let mut server = Server::start().await;
    for transport in COMMANDS {
        let command = server.exec(transport, &["flood"], OUT).await;
        server.event().await;
        drop(command);
        loop {
            let event = server.event().await;
            if event.parse::<usize>().is_err() {
                assert_eq!(event, "BrokenPipe true");
                break;
            }
        }
    }
}

/// All streams a client may leave out.
#[tokio::test]
async fn one_stream_is_enough() {
    let server = Server::start().await;
    let none = StreamOptions::default();
    for transport in COMMANDS {
        let out = StreamOptions {
            stdout: true,
            ..none
        };
        let output = within(server.exec(transport, &["echo", "x"], out).await.output());
        assert_eq!(output.await.unwrap().stdout, b"x");
        let err = StreamOptions {
            stderr: true,
            ..none
        };
        let output = within(server.exec(transport, &["exit", "0"], err).await.output());
        assert_eq!(output.await.unwrap().stderr, b"");
        let input = StreamOptions {
            stdin: true,
            ..none
        };
        let output = within(server.exec(transport, &["exit", "0"], input).await.output());
        assert_eq!(output.await.unwrap().stdout, b"");
    }
}
