//! Streams against a naive model: two queues of bytes for each.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const STREAMS: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Deliver(u32, usize),
    EndInput(u32),
    Read(u32, usize),
    DropReader(u32),
    Write(u32, usize),
    EndOutput(u32),
    Send,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..STREAMS;
    prop_oneof![
        4 => (id.clone(), 0..100_000_usize).prop_map(|(id, size)| Step::Deliver(id, size)),
        1 => id.clone().prop_map(Step::EndInput),
        4 => (id.clone(), 1..100_000_usize).prop_map(|(id, size)| Step::Read(id, size)),
        1 => id.clone().prop_map(Step::DropReader),
        4 => (id.clone(), 0..50_000_usize).prop_map(|(id, size)| Step::Write(id, size)),
        1 => id.prop_map(Step::EndOutput),
        6 => Just(Step::Send),
    ]
}

#[derive(Default)]
struct Model {
    unread: VecDeque<u8>,
    ended: bool,
    dropped: bool,
    unsent: VecDeque<u8>,
    ending: bool,
    end_sent: bool,
}

/// Bytes that tell their place.
fn bytes(count: &mut u64, size: usize) -> Vec<u8> {
    (0..size)
        .map(|_| {
            *count += 1;
            (*count ^ (*count >> 8) ^ (*count >> 16)) as u8
        })
        .collect()
}

fn read(state: &mut State, id: u32, size: usize) -> Poll<io::Result<Vec<u8>>> {
    let mut space = vec![0; size];
    let mut into = ReadBuf::new(&mut space);
    let cx = Context::from_waker(Waker::noop());
    match state.poll_read(id, &cx, &mut into) {
        Poll::Ready(Ok(())) => Poll::Ready(Ok(into.filled().to_vec())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn streams_are_two_queues_each(steps in vec(step(), 1..120)) {
        let cx = Context::from_waker(Waker::noop());
        let mut state = State::new(Instant::now());
        let mut models: Vec<Model> = (0..STREAMS).map(|_| Model::default()).collect();
        (0..STREAMS).for_each(|id| state.open(id));
        let mut count = 0;
        // Who waits for a turn, and since when.
        let mut turns = VecDeque::new();
        for step in steps {
            match step {
                // A driver that waits for room delivers no more.
                Step::Deliver(id, size) if state.poll_room(&cx).is_ready() => {
                    let model = &mut models[id as usize];
                    let data = bytes(&mut count, size);
                    if !model.ended && !model.dropped {
                        model.unread.extend(&data);
                    }
                    state.deliver(id, data.into());
                }
                Step::Deliver(..) => {
                    let full = |model: &Model| model.unread.len() > MAX_UNREAD / 2;
                    prop_assert!(models.iter().any(full), "waits for nothing");
                }
                Step::EndInput(id) => {
                    models[id as usize].ended = true;
                    state.end_input(id);
                }
                Step::Read(id, size) => {
                    let model = &mut models[id as usize];
                    if model.dropped {
                        continue;
                    }
                    match read(&mut state, id, size) {
                        Poll::Ready(Ok(data)) if data.is_empty() => {
                            prop_assert!(model.ended && model.unread.is_empty());
                        }
                        Poll::Ready(Ok(data)) => {
                            let expected: Vec<u8> = model.unread.drain(..data.len()).collect();
                            prop_assert!(data == expected);
                        }
                        Poll::Ready(Err(error)) => prop_assert!(false, "{}", error),
                        Poll::Pending => prop_assert!(!model.ended && model.unread.is_empty()),
                    }
                }
                Step::DropReader(id) => {
                    models[id as usize].dropped = true;
                    models[id as usize].unread.clear();
                    state.drop_reader(id);
                }
                Step::Write(id, size) => {
                    let model = &mut models[id as usize];
                    let mut ahead = count;
                    let data = bytes(&mut ahead, size);
                    match state.poll_write(id, &cx, &data) {
                        Poll::Ready(Ok(written)) => {
                            prop_assert!(!model.ending);
                            model.unsent.extend(&data[..written]);
                            count += written as u64;
                            if written > 0 && !turns.contains(&id) {
                                turns.push_back(id);
                            }
                        }
                        Poll::Ready(Err(_)) => prop_assert!(model.ending),
                        Poll::Pending => prop_assert_eq!(model.unsent.len(), MAX_UNSENT),
                    }
                    prop_assert!(model.unsent.len() <= MAX_UNSENT);
                }
                Step::EndOutput(id) => {
                    let model = &mut models[id as usize];
                    if !model.ending && !turns.contains(&id) {
                        turns.push_back(id);
                    }
                    model.ending = true;
                    state.end_output(id);
                }
                Step::Send => match state.poll_outgoing(&cx) {
                    Poll::Ready(Some(Outgoing::Data(id, data, end))) => {
                        prop_assert_eq!(Some(id), turns.pop_front());
                        let model = &mut models[id as usize];
                        let expected: Vec<u8> = model.unsent.drain(..).collect();
                        prop_assert!(data == expected);
                        prop_assert_eq!(end, model.ending);
                        prop_assert!(!model.end_sent);
                        model.end_sent = end;
                    }
                    Poll::Pending => prop_assert!(turns.is_empty()),
                    other @ Poll::Ready(_) => prop_assert!(false, "{:?}", other),
                },
            }
        }
        // Whatever has happened, there is room once nobody reads, and nothing is kept.
        for id in 0..STREAMS {
            state.drop_reader(id);
            state.end_input(id);
            state.drop_writer(id);
        }
        prop_assert!(state.poll_room(&cx).is_ready());
        while state.poll_outgoing(&cx).is_ready() {}
        prop_assert_eq!(state.streams(), 0);
        prop_assert_eq!(state.full, 0);
    }
}

#[test]
fn a_reset_is_an_error_behind_what_has_arrived() {
    let cx = Context::from_waker(Waker::noop());
    let mut state = State::new(Instant::now());
    for (id, lenient) in [(1, false), (3, true)] {
        state.open(id);
        if lenient {
            state.set_lenient(id);
        }
        state.deliver(id, Bytes::from_static(b"rest"));
        state.reset_by_peer(id);
        assert!(matches!(read(&mut state, id, 9), Poll::Ready(Ok(data)) if data == b"rest"));
        match read(&mut state, id, 9) {
            Poll::Ready(Ok(end)) => assert!(lenient && end.is_empty()),
            Poll::Ready(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                assert!(!lenient);
            }
            Poll::Pending => panic!("it is over"),
        }
        assert!(matches!(
            state.poll_write(id, &cx, b"x"),
            Poll::Ready(Err(_))
        ));
        assert!(state.poll_outgoing(&cx).is_pending());
    }
}

#[test]
fn many_small_pieces_are_too_much_as_well() {
    let cx = Context::from_waker(Waker::noop());
    let mut state = State::new(Instant::now());
    state.open(1);
    let mut pieces = 0;
    while state.poll_room(&cx).is_ready() {
        state.deliver(1, Bytes::from_static(b"x"));
        pieces += 1;
    }
    assert_eq!(pieces, MAX_UNREAD_PIECES);
}

/// A client that sends bytes one by one does not have a buffer kept for each of them.
#[test]
fn a_small_piece_does_not_keep_what_was_read_with_it() {
    let mut state = State::new(Instant::now());
    state.open(1);
    let buffer = Bytes::from(vec![7; 64 << 10]);
    state.deliver(1, buffer.slice(..3));
    assert!(buffer.is_unique());
    state.deliver(1, buffer.slice(..MIN_SHARED));
    assert!(!buffer.is_unique());
    assert!(matches!(read(&mut state, 1, 9), Poll::Ready(Ok(data)) if data == [7; 3]));
}

#[test]
fn answers_go_first_and_are_not_gathered() {
    let cx = Context::from_waker(Waker::noop());
    let mut state = State::new(Instant::now());
    state.open(1);
    assert!(state.poll_write(1, &cx, b"data").is_ready());
    let mut answers = 0;
    while state.poll_room(&cx).is_ready() {
        state.answer(Outgoing::Pong(1));
        answers += 1;
    }
    assert_eq!(answers, MAX_ANSWERS);
    assert!(matches!(
        state.poll_outgoing(&cx),
        Poll::Ready(Some(Outgoing::Pong(1)))
    ));
    assert!(state.poll_room(&cx).is_ready());
}

#[test]
fn finishing_ends_all_streams_with_what_they_hold() {
    let cx = Context::from_waker(Waker::noop());
    let mut state = State::new(Instant::now());
    state.open(1);
    state.open(3);
    assert!(state.poll_write(3, &cx, b"data").is_ready());
    state.finish();
    assert!(matches!(
        state.poll_write(1, &cx, b"x"),
        Poll::Ready(Err(_))
    ));
    let mut sent = Vec::new();
    while let Poll::Ready(Some(outgoing)) = state.poll_outgoing(&cx) {
        sent.push(outgoing);
    }
    assert_eq!(
        sent,
        [
            Outgoing::Data(3, Bytes::from_static(b"data"), true),
            Outgoing::Data(1, Bytes::new(), true),
            Outgoing::End,
        ]
    );
}

/// An end that was kept somewhere does not hold up the connection for good.
#[test]
fn a_stream_that_is_given_up_makes_room() {
    let cx = Context::from_waker(Waker::noop());
    let mut state = State::new(Instant::now());
    state.open(1);
    state.deliver(1, vec![0; MAX_UNREAD].into());
    assert!(state.poll_room(&cx).is_pending());
    state.reset(1, 5);
    assert!(state.poll_room(&cx).is_ready());
    assert!(matches!(read(&mut state, 1, 9), Poll::Ready(Err(_))));
    state.deliver(1, vec![0; MAX_UNREAD].into());
    assert!(state.poll_room(&cx).is_ready());
}
