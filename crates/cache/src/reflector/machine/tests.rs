use proptest::prelude::*;

use super::*;

/// How a source answers one request or read, drawn at random.
#[derive(Clone, Debug)]
enum Answer {
    Fine,
    More,
    /// An event so many versions ahead; with none, it is no news.
    Event {
        ahead: u64,
        kind: u8,
    },
    Ended,
    Late,
    Fail(u8),
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        3 => Just(Answer::Fine),
        1 => Just(Answer::More),
        3 => (0_u64..4, 0_u8..5).prop_map(|(ahead, kind)| Answer::Event { ahead, kind }),
        1 => Just(Answer::Ended),
        1 => Just(Answer::Late),
        3 => (0_u8..8).prop_map(Answer::Fail),
    ];
    prop::collection::vec(answer, 1..200)
}

fn error(kind: u8) -> SourceError {
    let message = String::new();
    match kind {
        0 => SourceError::Expired { message },
        1 => SourceError::ResourceVersionTooLarge { message },
        2 => SourceError::TooManyRequests {
            retry_after: None,
            message,
        },
        3 => SourceError::Unreachable("refused".into()),
        4 => SourceError::Internal { message },
        5 => SourceError::Invalid { message },
        6 => SourceError::NotFound { message },
        _ => SourceError::Transport("reset".into()),
    }
}

proptest! {
    /// However a source behaves: the machine never gets stuck and never storms it, and it asks
    /// for nothing older than what it handed on unless that has been refused.
    #[test]
    fn it_copes_with_any_source(answers in answers(), streaming in any::<bool>(), seed in any::<u64>()) {
        let mut machine = Machine::new(ReflectorConfig {
            seed,
            resync: Some(Duration::from_secs(100)),
            initial_list: if streaming { InitialList::Streaming } else { InitialList::Paged },
            ..ReflectorConfig::default()
        });
        let mut now = Instant::now();
        let mut version = 10_u64;
        let mut reached = 0_u64;
        let mut refused = false;
        // Requests since time last passed, or something was achieved.
        let mut eager = 0;
        let mut step = machine.start(now);
        for answer in answers {
            let input = match step {
                Step::List(options) => {
                    eager += 1;
                    let asked: u64 = options.resource_version.to_string().parse().unwrap_or(0);
                    prop_assert!(options.continue_token.is_some() || asked >= reached || refused);
                    match answer {
                        Answer::Fail(kind) => {
                            refused |= kind < 2;
                            Input::ListFailed(error(kind))
                        }
                        Answer::More => {
                            eager -= 1;
                            let page = Page::last(ResourceVersion::from(version));
                            Input::Page(page.with_more("token"))
                        }
                        _ => Input::Page(Page::last(ResourceVersion::from(version))),
                    }
                }
                Step::Watch(options) => {
                    eager += 1;
                    let asked: u64 = options.resource_version.to_string().parse().unwrap_or(0);
                    prop_assert!(asked >= reached || refused, "{asked} after {reached}");
                    let timeout = options.timeout.expect("every watch has one").as_secs();
                    prop_assert!((300..600).contains(&timeout));
                    match answer {
                        Answer::Fail(kind) => {
                            refused |= kind < 2;
                            Input::OpenFailed(error(kind))
                        }
                        _ => Input::Opened,
                    }
                }
                Step::Read(until) => match answer {
                    Answer::Fail(kind) => {
                        refused |= kind < 2;
                        Input::WatchFailed(error(kind))
                    }
                    Answer::Ended => Input::Ended,
                    Answer::Late => {
                        eager = 0;
                        now = now.max(until);
                        Input::TimeIsUp
                    }
                    Answer::Event { ahead, kind } => {
                        let kinds = [Kind::Added, Kind::Other, Kind::Bookmark, Kind::InitialEventsEnd];
                        if let Some(kind) = kinds.get(usize::from(kind)) {
                            if ahead > 0 {
                                eager = 0;
                            }
                            version += ahead;
                            if !machine.is_streaming() {
                                reached = version;
                            }
                            Input::Event(*kind, Some(ResourceVersion::from(version)))
                        } else {
                            Input::Event(Kind::Noise, None)
                        }
                    }
                    Answer::Fine | Answer::More => {
                        eager = 0;
                        now += Duration::from_secs(2);
                        Input::Event(Kind::Bookmark, None)
                    }
                },
                Step::Commit(committed) => {
                    eager = 0;
                    refused = false;
                    reached = committed.to_string().parse().unwrap();
                    Input::Committed
                }
                Step::Resync => Input::Resynced,
                Step::GiveUp(Failure::Idle(silence)) => {
                    prop_assert!(silence >= Duration::from_secs(60));
                    Input::WatchFailed(SourceError::Idle(silence))
                }
                Step::GiveUp(Failure::Short) => Input::WatchFailed(SourceError::ShortWatch),
                Step::GiveUp(Failure::Incomplete) => Input::WatchFailed(SourceError::Incomplete),
                Step::Wait(delay) => {
                    prop_assert!(delay >= Duration::from_millis(800));
                    prop_assert!(delay < Duration::from_secs(60));
                    eager = 0;
                    now += delay;
                    Input::TimeIsUp
                }
            };
            step = machine.on_event(now, input);
            prop_assert!(eager <= 4, "{eager} requests in a row without waiting");
        }
    }
}

/// A machine that reads a watch, after a list of this version.
fn watching(version: ResourceVersion, config: ReflectorConfig, now: Instant) -> Machine {
    let mut machine = Machine::new(config);
    machine.start(now);
    machine.on_event(now, Input::Page(Page::last(version)));
    machine.on_event(now, Input::Committed);
    machine.on_event(now, Input::Opened);
    machine
}

fn event(kind: Kind, version: u64) -> Input {
    Input::Event(kind, Some(ResourceVersion::from(version)))
}

/// A stream that never pauses never lets the time given with a step run out.
#[test]
fn a_resync_is_not_put_off_by_events() {
    let seconds = Duration::from_secs;
    let config = ReflectorConfig {
        resync: Some(seconds(30)),
        ..ReflectorConfig::default()
    };
    let start = Instant::now();
    let mut machine = watching(ResourceVersion::from(1), config, start);
    let mut resyncs = Vec::new();
    for second in 1..=100 {
        let now = start + seconds(second);
        if machine.on_event(now, event(Kind::Other, 1 + second)) == Step::Resync {
            resyncs.push(second);
            machine.on_event(now, Input::Resynced);
        }
    }
    assert_eq!(resyncs, [30, 60, 90]);
}

/// A replay is in no order of versions, so one of its versions is none to go on from; what cannot
/// be read does not end it.
#[test]
fn noise_does_not_end_a_replay() {
    let now = Instant::now();
    let config = ReflectorConfig::default();
    let mut machine = watching(ResourceVersion::default(), config, now);
    machine.on_event(now, event(Kind::Added, 5));
    machine.on_event(now, Input::Event(Kind::Noise, None));
    machine.on_event(now, event(Kind::Added, 3));
    let later = now + Duration::from_secs(10);
    let Step::Watch(options) = machine.on_event(later, Input::Ended) else {
        panic!("it goes on watching")
    };
    assert_eq!(options.resource_version, ResourceVersion::default());
}
