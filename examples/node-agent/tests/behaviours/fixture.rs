//! What some behaviours need to run in a pod: this very program, in another role.
//!
//! `http PORT`, `grpc PORT` and `tcp PORT` serve at the pod's address; with `--healthy SECONDS` only
//! for so long, and with `--after SECONDS` only from then on. Each time that it is asked how it is
//! it prints `asked`.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tonic::service::interceptor::InterceptedService;

/// The first argument of a program in this role.
pub(crate) const ROLE: &str = "pod-fixture";

/// Takes the role on if it was asked for, and does not return then.
pub(crate) fn main_if_asked() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next() != Some(OsString::from(ROLE)) {
        return;
    }
    let arguments: Vec<_> = arguments
        .map(|it| it.to_string_lossy().into_owned())
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = runtime.expect("a runtime").block_on(serve(&arguments));
    if let Err(error) = ended {
        say(&format!("{error:#}"));
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// The program and what it is linked to, which an image of its own needs.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let mut files = vec![env::current_exe()?];
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let loaded = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5));
    for path in loaded.filter(|path| path.contains(".so")) {
        let path = PathBuf::from(path);
        if !files.contains(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// For how long, and from when on, it is healthy.
#[derive(Clone, Copy)]
struct Health {
    from: Instant,
    until: Option<Instant>,
}

impl Health {
    fn is_good(self) -> bool {
        let now = Instant::now();
        now >= self.from && self.until.is_none_or(|until| now < until)
    }
}

async fn serve(arguments: &[String]) -> Result<()> {
    let [protocol, port, options @ ..] = arguments else {
        bail!("a protocol and a port are needed");
    };
    let mut health = Health {
        from: Instant::now(),
        until: None,
    };
    for option in options.chunks(2) {
        let [name, seconds] = option else {
            bail!("{option:?} has no value");
        };
        let time = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
        match name.as_str() {
            "--healthy" => health.until = Some(time),
            "--after" => health.from = time,
            _ => bail!("{name} is not an option"),
        }
    }
    // Where pods have no network of their own, they have an address of their own.
    let ip = env::var("KUBEWRIGHT_POD_IP")
        .ok()
        .filter(|ip| !ip.is_empty());
    let ip: IpAddr = match ip {
        Some(ip) => ip.parse()?,
        None => Ipv4Addr::UNSPECIFIED.into(),
    };
    let address = SocketAddr::new(ip, port.parse()?);
    let terminated = async {
        let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        signal.recv().await;
        say("terminated");
        anyhow::Ok(())
    };
    let served = async {
        match protocol.as_str() {
            "http" => serve_http(address, health).await,
            "grpc" => serve_grpc(address, health).await,
            "tcp" => serve_tcp(address).await,
            other => bail!("{other} is not a protocol"),
        }
    };
    tokio::select! {
        ended = served => ended,
        ended = terminated => ended,
    }
}

/// `/healthz` is as the health is, and two paths lead elsewhere; every other path is printed, and
/// answered with itself.
async fn serve_http(address: SocketAddr, health: Health) -> Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .context("the port is taken")?;
    say(&format!("serving at {address}"));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| async move {
            let path = request.uri().path().to_owned();
            let mut response = Response::new(Full::new(Bytes::new()));
            let location = match path.as_str() {
                "/redirect/healthz" => Some("/healthz"),
                // An address that leads nowhere; nobody is to go there.
                "/elsewhere" => Some("http://127.255.255.254:1/"),
                _ => None,
            };
            if let Some(location) = location {
                say(ASKED);
                *response.status_mut() = StatusCode::FOUND;
                let location = hyper::header::HeaderValue::from_static(location);
                response
                    .headers_mut()
                    .insert(hyper::header::LOCATION, location);
            } else if path == "/healthz" {
                say(ASKED);
                if !health.is_good() {
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
            } else {
                say(&format!("{} {path}", request.method()));
                *response.body_mut() = Full::new(Bytes::from(path));
            }
            Ok::<_, Infallible>(response)
        });
        connections.spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_grpc(address: SocketAddr, health: Health) -> Result<()> {
    let (reporter, service) = tonic_health::server::health_reporter();
    let report = async {
        loop {
            let status = match health.is_good() {
                true => tonic_health::ServingStatus::Serving,
                false => tonic_health::ServingStatus::NotServing,
            };
            reporter.set_service_status("", status).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    say(&format!("serving at {address}"));
    let server = tonic::transport::Server::builder()
        .add_service(InterceptedService::new(service, |request| {
            say(ASKED);
            Ok(request)
        }))
        .serve(address);
    tokio::select! {
        () = report => Ok(()),
        ended = server => Ok(ended?),
    }
}

async fn serve_tcp(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address)
        .await
        .context("the port is taken")?;
    say(&format!("serving at {address}"));
    loop {
        listener.accept().await?;
        say(ASKED);
    }
}

/// What it prints when it is asked how it is.
pub(crate) const ASKED: &str = "asked";

/// Prints a line at once.
fn say(line: &str) {
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{line}");
    let _ = stdout.flush();
}
