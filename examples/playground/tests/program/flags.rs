//! Flags that are wrong, and what cannot be had.

use std::net::TcpListener;

use crate::process::{directory, run};

#[tokio::test]
async fn wrong_flags_are_refused() {
    for (flags, what) in [
        (
            &["--runtime", "docker"][..],
            "neither process nor unix:///PATH",
        ),
        (&["--runtime", "unix:///x.sock"], "needs --image"),
        (&["--image", "busybox"], "is for --runtime unix:///PATH"),
        (&["--pod-port", "65536"], "--pod-port"),
        (&["--pod-port", "1", "--image", "x"], "cannot be used with"),
        (&["--listen", "6443"], "--listen"),
        (&["--step-deadline", "soon"], "--step-deadline"),
        (&["--", "sleep"], "--image"),
        (&["--replicas", "3"], "unexpected argument"),
    ] {
        let (status, output, errors) = run(flags).await;
        assert_eq!(status, Some(2), "{flags:?}: {output}");
        assert!(errors.contains(what), "{flags:?}: {errors}");
    }
}

#[tokio::test]
async fn what_cannot_be_had_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (parent, root_dir) = directory();
    std::fs::write(parent.path().join("thesis.txt"), "years of work").unwrap();
    let (parent, root_dir) = (parent.path().to_str().unwrap(), root_dir.to_str().unwrap());
    for (flags, what) in [
        (
            &["--listen", &taken][..],
            vec!["the API server cannot listen", &taken],
        ),
        (
            &["--listen", "192.0.2.1:0"],
            vec!["the API server cannot listen", "loopback"],
        ),
        (&["--node-listen", &taken], vec![taken.as_str()]),
        (
            &["--runtime", "unix:///nowhere/cri.sock", "--image", "x"],
            vec!["unix:///nowhere/cri.sock cannot be used", "does not exist"],
        ),
    ] {
        let flags: Vec<_> = flags
            .iter()
            .copied()
            .chain(["--root-dir", root_dir])
            .collect();
        let (status, output, _) = run(&flags).await;
        assert_eq!(status, Some(1), "{flags:?}: {output}");
        let last = output.lines().last().unwrap();
        assert!(last.starts_with("FAILED "), "{last}");
        for what in what {
            assert!(last.contains(what), "{last} should name {what}");
        }
        assert!(!std::path::Path::new(root_dir).exists(), "{flags:?}");
    }
    let (status, output, _) = run(&["--root-dir", parent]).await;
    assert_eq!(status, Some(1));
    assert!(output.starts_with("FAILED --root-dir: "), "{output}");
    assert!(output.contains("not a playground's"), "{output}");
}
