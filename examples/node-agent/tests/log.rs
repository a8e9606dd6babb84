//! Logs of containers, read from files.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use kubewright_cri::Runtime;
use kubewright_cri::testing::FakeRuntime;
use kubewright_cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, PodSandboxConfig, PodSandboxMetadata,
};
use node_agent::log::{
    LogError, LogFormat, LogOptions, LogReader, LogStream, LogStreams, Record, container_log,
};
use tokio::time::timeout;

/// How long a test waits for what must happen.
const DEADLINE: Duration = Duration::from_secs(120);

fn options(change: impl FnOnce(&mut LogOptions)) -> LogOptions {
    let mut options = LogOptions::default();
    change(&mut options);
    options
}

/// All of a log whose container has ended.
async fn read(path: &Path, options: &LogOptions) -> Result<String, LogError> {
    let reader = LogReader::open(path, options).await?;
    let chunks = reader.chunks(|| async { Ok(false) });
    let chunks: Vec<bytes::Bytes> = timeout(DEADLINE, chunks.try_collect()).await.unwrap()?;
    Ok(String::from_utf8(chunks.concat()).unwrap())
}

/// Reads until all of this has come.
async fn expect(
    chunks: &mut (impl Stream<Item = Result<bytes::Bytes, LogError>> + Unpin),
    text: &str,
) {
    let mut seen = String::new();
    while seen.len() < text.len() {
        let chunk = timeout(DEADLINE, chunks.next()).await;
        let chunk = chunk.expect("it comes in time").expect("the log goes on");
        seen += std::str::from_utf8(&chunk.unwrap()).unwrap();
    }
    assert_eq!(seen, text);
}

fn line(stream: &str, content: &str) -> String {
    format!("2016-10-06T00:17:09.669794202Z {stream} F {content}\n")
}

/// Answers to `TestLogOptions`.
#[test]
fn log_options() {
    let now = "2020-09-27T11:18:30Z".parse::<Timestamp>().unwrap();
    let ago = |seconds| now - SignedDuration::from_secs(seconds);
    let since = |seconds, time| LogOptions::default().since(seconds, time, now).since;
    assert_eq!(since(None, None), None);
    assert_eq!(since(None, Some(now)), Some(now));
    assert_eq!(since(Some(10), None), Some(ago(10)));
    assert_eq!(since(Some(10), Some(ago(20))), Some(ago(10)));
    assert_eq!(since(Some(10), Some(ago(5))), Some(ago(5)));
    assert_eq!(since(Some(i64::MAX), None), Some(Timestamp::MIN));
}

/// Answers to `TestReadLogs`.
#[tokio::test]
async fn read_logs() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for second in 1..=3 {
        writeln!(
            file.as_file(),
            r#"{{"log":"line{second}\n","stream":"stdout","time":"2020-09-27T11:18:0{second}.00000000Z"}}"#,
        )
        .unwrap();
    }
    let since = |time: &str| options(|options| options.since = Some(time.parse().unwrap()));
    let tail = |lines| options(|options| options.tail_lines = Some(lines));
    let limit = |bytes| options(|options| options.limit_bytes = Some(bytes));
    let followed = |mut options: LogOptions| {
        options.follow = true;
        options
    };
    let second = "2020-09-27T11:18:02Z";
    for (options, expected) in [
        (LogOptions::default(), "line1\nline2\nline3\n"),
        (tail(2), "line2\nline3\n"),
        (tail(4), "line1\nline2\nline3\n"),
        (tail(0), ""),
        (limit(9), "line1\nlin"),
        (limit(100), "line1\nline2\nline3\n"),
        (limit(0), ""),
        (since(second), "line2\nline3\n"),
        (since("2026-01-01T00:00:00Z"), ""),
        (followed(LogOptions::default()), "line1\nline2\nline3\n"),
        (followed(tail(2)), "line2\nline3\n"),
        (followed(since(second)), "line2\nline3\n"),
    ] {
        let log = read(file.path(), &options).await.unwrap();
        assert_eq!(log, expected, "{options:?}");
    }
}

/// Answers to `TestReadRotatedLog`.
#[tokio::test]
async fn read_rotated_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut file = std::fs::File::create(&path).unwrap();
    let running = Arc::new(AtomicBool::new(true));
    let followed = options(|options| options.follow = true);
    let reader = LogReader::open(&path, &followed).await.unwrap();
    let mut chunks = pin!(reader.chunks({
        let running = Arc::clone(&running);
        move || std::future::ready(Ok(running.load(Ordering::Relaxed)))
    }));
    for number in 0..10 {
        let stream = if number % 2 == 0 { "stdout" } else { "stderr" };
        writeln!(
            file,
            r#"{{"log":"line{number}\n","stream":"{stream}","time":"2020-09-27T11:18:01Z"}}"#,
        )
        .unwrap();
        expect(&mut chunks, &format!("line{number}\n")).await;
        if number == 5 {
            std::fs::rename(&path, directory.path().join("0.log.20260101-150405")).unwrap();
            file = std::fs::File::create(&path).unwrap();
        }
    }
    // The last that a container writes may be written when it has ended.
    running.store(false, Ordering::Relaxed);
    writeln!(
        file,
        r#"{{"log":"end","stream":"stdout","time":"2020-09-27T11:18:01Z"}}"#
    )
    .unwrap();
    expect(&mut chunks, "end").await;
    assert!(timeout(DEADLINE, chunks.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn what_is_written_to_a_file_while_it_is_renamed_away_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut old = std::fs::File::create(&path).unwrap();
    let followed = options(|options| options.follow = true);
    let reader = LogReader::open(&path, &followed).await.unwrap();
    let mut chunks = pin!(reader.chunks(|| async { Ok(true) }));
    write!(old, "{}", line("stdout", "1")).unwrap();
    expect(&mut chunks, "1\n").await;
    // Nobody reads meanwhile: all of it is there when the follower looks again.
    std::fs::rename(&path, directory.path().join("0.log.old")).unwrap();
    write!(old, "{}", line("stdout", "2")).unwrap();
    std::fs::write(&path, line("stdout", "3")).unwrap();
    write!(old, "{}", line("stdout", "still 2")).unwrap();
    expect(&mut chunks, "2\nstill 2\n3\n").await;
    // A file that begins anew is read anew.
    std::fs::write(&path, line("stdout", "")).unwrap();
    expect(&mut chunks, "\n").await;
}

#[tokio::test]
async fn who_follows_late_reads_what_was_rotated_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let rotated = |number: u8| {
        directory
            .path()
            .join(format!("0.log.20260101-00000{number}"))
    };
    let followed = options(|options| options.follow = true);
    // Whether the file that is read is still there when it was read, and what was compressed.
    for (removed, compressed, expected) in [
        (None, None, "1\n2\n3\n4\n"),
        (Some(1), None, "1\n2\n3\n4\n"),
        (Some(1), Some(2), "1\n3\n4\n"),
        (None, Some(1), "1\n2\n3\n4\n"),
    ] {
        std::fs::write(&path, line("stdout", "1")).unwrap();
        let reader = LogReader::open(&path, &followed).await.unwrap();
        let mut chunks = pin!(reader.chunks(|| async { Ok(true) }));
        // Nobody reads meanwhile.
        for number in 1..=3 {
            std::fs::rename(&path, rotated(number)).unwrap();
            std::fs::write(&path, line("stdout", &(number + 1).to_string())).unwrap();
        }
        if let Some(number) = removed {
            std::fs::remove_file(rotated(number)).unwrap();
        }
        if let Some(number) = compressed {
            let gz = directory
                .path()
                .join(format!("{}.gz", rotated(number).display()));
            std::fs::rename(rotated(number), gz).unwrap();
        }
        expect(&mut chunks, expected).await;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

// Time stands still while a file is looked at: how long that takes is of no account.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_just_being_rotated_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    std::fs::write(dir.path().join("0.log.20260102-030405"), "").unwrap();
    let begins = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let unseen = dir.path().join("unseen");
        std::fs::write(&unseen, line("stdout", "anew")).unwrap();
        std::fs::rename(&unseen, &path).unwrap();
    };
    let options = LogOptions::default();
    let (text, ()) = tokio::join!(read(&path, &options), begins);
    assert_eq!(text.unwrap(), "anew\n");

    // One that does not begin anew is not waited for without end, and one that never was not at all.
    std::fs::remove_file(&path).unwrap();
    let error = read(&path, &options).await.unwrap_err();
    assert!(matches!(error, LogError::Open { .. }), "{error}");
    let error = read(&dir.path().join("1.log"), &options).await.unwrap_err();
    assert!(matches!(error, LogError::Open { .. }), "{error}");
}

#[tokio::test]
async fn a_line_that_is_not_written_to_its_end_is_awaited() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let whole = line("stderr", "whole");
    let (start, end) = whole.split_at(40);
    write!(file.as_file(), "{}{start}", line("stdout", "first")).unwrap();
    let followed = options(|options| options.follow = true);
    let reader = LogReader::open(file.path(), &followed).await.unwrap();
    let mut chunks = pin!(reader.chunks(|| async { Ok(true) }));
    expect(&mut chunks, "first\n").await;
    write!(file.as_file(), "{end}").unwrap();
    expect(&mut chunks, "whole\n").await;
}

#[tokio::test]
async fn a_runtime_that_is_away_ends_no_log_and_a_container_that_is_gone_does() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write!(file.as_file(), "{}", line("stdout", "a")).unwrap();
    let followed = options(|options| options.follow = true);
    let reader = LogReader::open(file.path(), &followed).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let chunks = reader.chunks(|| {
        let asked = Arc::clone(&asked);
        async move {
            let runtime = Runtime::lazy(
                &"unix:///nonexistent/runtime.sock".parse().unwrap(),
                kubewright_cri::RuntimeOptions::default(),
            );
            match asked.fetch_add(1, Ordering::Relaxed) {
                0 => runtime.container_status("gone").await.map(|_| true),
                _ => {
                    let fake = FakeRuntime::default();
                    let runtime = Runtime::in_process(fake);
                    runtime.container_status("gone").await.map(|_| true)
                }
            }
        }
    });
    let chunks: Vec<bytes::Bytes> = timeout(DEADLINE, chunks.try_collect())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(chunks.concat(), b"a\n");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// Answers to `TestParseLog`.
#[test]
fn parse_log() {
    let record = |stream, is_part, content: &'static str| Record {
        time: "2016-10-20T18:39:20.57606443Z".parse().unwrap(),
        offset: Offset::UTC,
        stream,
        is_part,
        content: content.as_bytes().into(),
    };
    let cases = [
        (
            "{\"log\":\"docker stdout test log\",\"stream\":\"stdout\",\"time\":\"2016-10-20T18:39:20.57606443Z\"}\n",
            Some(record(LogStream::Stdout, false, "docker stdout test log")),
        ),
        (
            "{\"log\":\"docker stderr test log\",\"stream\":\"stderr\",\"time\":\"2016-10-20T18:39:20.57606443Z\"}\n",
            Some(record(LogStream::Stderr, false, "docker stderr test log")),
        ),
        (
            "2016-10-20T18:39:20.57606443Z stdout F cri stdout test log\n",
            Some(record(LogStream::Stdout, false, "cri stdout test log\n")),
        ),
        (
            "2016-10-20T18:39:20.57606443Z stderr F cri stderr test log\n",
            Some(record(LogStream::Stderr, false, "cri stderr test log\n")),
        ),
        ("unsupported log format test log\n", None),
        (
            "2016-10-20T18:39:20.57606443Z stdout P cri stdout partial test log\n",
            Some(record(
                LogStream::Stdout,
                true,
                "cri stdout partial test log",
            )),
        ),
        (
            "2016-10-20T18:39:20.57606443Z stdout P:TAG1:TAG2 cri stdout partial test log\n",
            Some(record(
                LogStream::Stdout,
                true,
                "cri stdout partial test log",
            )),
        ),
        ("2016-10-20T18:39:20.57606443Z stdlog F x\n", None),
        ("2016-10-20 stdout F x\n", None),
        ("2016-10-20T18:39:20.57606443Z stdout\n", None),
    ];
    for (line, expected) in cases {
        let format = LogFormat::of(line.as_bytes());
        let parsed = format.map(|format| format.parse(line.as_bytes()).unwrap());
        assert_eq!(parsed, expected, "{line}");
    }
}

/// Answers to `TestReadLogsLimitsWithTimestamps`.
#[tokio::test]
async fn read_logs_limits_with_timestamps() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut log = String::new();
    for _ in 0..2 {
        for number in 0..10_000 {
            log += &format!("2022-10-29T16:10:22.592603036-05:00 stdout P {number}\n");
        }
        log += "2022-10-29T16:10:22.592603036-05:00 stdout F \n";
    }
    std::fs::write(file.path(), log).unwrap();
    let timed = options(|options| options.timestamps = true);
    let log = read(file.path(), &timed).await.unwrap();
    let numbers: String = (0..10_000).map(|number| number.to_string()).collect();
    let line = format!("2022-10-29T16:10:22.592603036-05:00 {numbers}\n");
    assert!(log == line.repeat(2), "each line has one time");
}

#[tokio::test]
async fn one_stream_of_a_long_log_comes_in_pieces_of_bounded_size() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut log = String::new();
    for number in 0..20_000 {
        let stream = if number % 2 == 0 { "stdout" } else { "stderr" };
        log += &line(stream, &number.to_string());
    }
    std::fs::write(file.path(), log).unwrap();
    let one = options(|options| options.streams = LogStreams::Only(LogStream::Stderr));
    let reader = LogReader::open(file.path(), &one).await.unwrap();
    let chunks: Vec<bytes::Bytes> = reader
        .chunks(|| async { Ok(false) })
        .try_collect()
        .await
        .unwrap();
    assert!(chunks.iter().all(|chunk| chunk.len() <= 64 << 10));
    let expected: String = (0..10_000)
        .map(|half| format!("{}\n", half * 2 + 1))
        .collect();
    assert!(chunks.concat() == expected.as_bytes());
}

#[tokio::test]
async fn what_cannot_be_read_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("0.log");
    let error = read(&missing, &LogOptions::default()).await.unwrap_err();
    assert!(matches!(error, LogError::Open { .. }), "{error}");
    std::fs::write(&missing, "nonsense\n").unwrap();
    let error = read(&missing, &LogOptions::default()).await.unwrap_err();
    assert!(
        matches!(error, LogError::UnsupportedFormat { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn the_log_of_a_container_is_where_the_runtime_says_until_it_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::in_process(FakeRuntime::default());
    let sandbox = PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: "p".to_owned(),
            namespace: "n".to_owned(),
            uid: "u".to_owned(),
            attempt: 0,
        }),
        log_directory: directory.path().display().to_string(),
        ..PodSandboxConfig::default()
    };
    let image = ImageSpec {
        image: "busybox".to_owned(),
        ..ImageSpec::default()
    };
    runtime.pull_image(image.clone(), None, None).await.unwrap();
    let id = runtime.run_pod_sandbox(sandbox.clone(), "").await.unwrap();
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata {
            name: "c".to_owned(),
            attempt: 0,
        }),
        image: Some(image),
        log_path: "c.log".to_owned(),
        ..ContainerConfig::default()
    };
    let id = runtime
        .create_container(&id, config, sandbox)
        .await
        .unwrap();
    runtime.start_container(&id).await.unwrap();
    std::fs::write(directory.path().join("c.log"), line("stdout", "a")).unwrap();

    let followed = options(|options| options.follow = true);
    let mut chunks = container_log(&runtime, &id, &followed).await.unwrap();
    expect(&mut chunks, "a\n").await;
    runtime.stop_container(&id, Duration::ZERO).await.unwrap();
    assert!(timeout(DEADLINE, chunks.next()).await.unwrap().is_none());
    let gone = container_log(&runtime, "gone", &followed).await.err();
    assert!(matches!(gone, Some(LogError::Runtime(error)) if error.is_not_found()));
}
