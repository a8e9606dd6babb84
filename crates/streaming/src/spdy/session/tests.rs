//! Whatever order frames come in, streams are counted, and all of them can be given up.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const MAX_STREAMS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Frame(Frame),
    /// Takes the oldest stream that was opened, and accepts it or does not.
    Take(bool),
    /// Drops the oldest stream that was accepted.
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 1..30_u32;
    let headers = Headers::default;
    let frame = prop_oneof![
        (id.clone(), any::<bool>()).prop_map(move |(id, fin)| Frame::SynStream {
            id,
            fin,
            headers: headers()
        }),
        (id.clone(), any::<bool>()).prop_map(move |(id, fin)| Frame::SynReply {
            id,
            fin,
            headers: headers()
        }),
        id.clone().prop_map(|id| Frame::RstStream { id, status: 5 }),
        id.clone().prop_map(Frame::Ping),
        (id.clone(), any::<bool>()).prop_map(|(id, fin)| Frame::Headers { id, fin }),
        (id, any::<bool>(), vec(any::<u8>(), 0..9)).prop_map(|(id, fin, data)| Frame::Data {
            id,
            fin,
            data: data.into()
        }),
    ];
    prop_oneof![
        6 => frame.prop_map(Step::Frame),
        2 => any::<bool>().prop_map(Step::Take),
        1 => Just(Step::Drop),
    ]
}

fn open(id: u32) -> Frame {
    let headers = Headers::default();
    Frame::SynStream {
        id,
        fin: false,
        headers,
    }
}

fn sent(mux: &Mux) -> Vec<Outgoing> {
    let mut sent = Vec::new();
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(Some(outgoing)) = mux.poll_outgoing(&mut cx) {
        sent.push(outgoing);
    }
    sent
}

proptest! {
    #[test]
    fn streams_are_counted(steps in vec(step(), 0..80)) {
        let mux = Mux::new();
        let (sender, mut incoming) = mpsc::channel(MAX_STREAMS);
        let mut session = Session::new(Role::Server, MAX_STREAMS, sender);
        let mut taken = std::collections::VecDeque::new();
        for step in steps {
            match step {
                Step::Frame(frame) => session.on_frame(&mux, frame),
                Step::Take(accept) => {
                    if let Ok(stream) = incoming.try_recv()
                        && accept
                    {
                        taken.extend(stream.accept());
                    }
                }
                Step::Drop => drop(taken.pop_front()),
            }
            prop_assert!(mux.state().streams() <= MAX_STREAMS);
        }
        drop((session, incoming, taken));
        // What is left waits for the end of the client's input alone.
        sent(&mux);
        for id in 1..30 {
            mux.state().end_input(id);
        }
        prop_assert_eq!(mux.state().streams(), 0);
    }
}

#[test]
fn streams_that_may_not_be_opened_are_reset() {
    let mux = Mux::new();
    let (sender, mut incoming) = mpsc::channel(2);
    let mut session = Session::new(Role::Server, 2, sender);
    for id in [3, 1, 3, 4, 5, 7] {
        session.on_frame(&mux, open(id));
    }
    let reset = |id, status| Outgoing::Reset(id, status);
    assert_eq!(
        sent(&mux),
        [
            reset(1, PROTOCOL_ERROR),
            reset(3, PROTOCOL_ERROR),
            reset(4, PROTOCOL_ERROR),
            reset(7, REFUSED_STREAM),
        ]
    );
    let accepted = incoming.try_recv().unwrap().accept();
    drop(incoming.try_recv().unwrap());
    assert_eq!(sent(&mux), [Outgoing::Reply(3), reset(5, REFUSED_STREAM)]);
    // A peer that goes away opens none.
    session.on_frame(&mux, Frame::GoAway { last: 0, status: 0 });
    session.on_frame(&mux, open(9));
    assert!(incoming.try_recv().is_err());
    assert_eq!(sent(&mux), []);
    drop(accepted);
}
