use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kubewright_clock::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::behaviour::{Behaviour, Exec};
use super::call::Call;
use super::events::Listener;
use super::fault::{Fault, Faults};
use super::state::State;
use crate::v1::{self, ContainerEventType, PodSandboxState};

/// The calls of both services, as CRI names them.
const METHODS: [&str; 31] = [
    "Attach",
    "ContainerStats",
    "ContainerStatus",
    "CreateContainer",
    "Exec",
    "ExecSync",
    "GetContainerEvents",
    "ImageFsInfo",
    "ImageStatus",
    "ListContainerStats",
    "ListContainers",
    "ListImages",
    "ListPodSandbox",
    "ListPodSandboxStats",
    "PodSandboxStats",
    "PodSandboxStatus",
    "PortForward",
    "PullImage",
    "RemoveContainer",
    "RemoveImage",
    "RemovePodSandbox",
    "ReopenContainerLog",
    "RunPodSandbox",
    "RuntimeConfig",
    "StartContainer",
    "Status",
    "StopContainer",
    "StopPodSandbox",
    "UpdateContainerResources",
    "UpdateRuntimeConfig",
    "Version",
];

/// A container runtime in memory.
///
/// Cheap to clone; clones are the same runtime.
/// Give one clone to [`Runtime::in_process`](crate::Runtime::in_process) or
/// [`Server::new`](crate::Server::new), and keep one to look and to interfere.
#[derive(Clone)]
pub struct FakeRuntime {
    inner: Arc<Inner>,
}

/// How a [`FakeRuntime`] is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FakeOptions {
    /// What ids are made from; 0 by default.
    pub seed: u64,
    /// What timestamps are taken from; by default it starts at 2024-01-01 and follows tokio's clock.
    pub clock: Clock,
}

struct Inner {
    shared: Mutex<Shared>,
    /// Something happened that those who listen for events may want to know.
    changed: Notify,
}

struct Shared {
    state: State,
    faults: Faults,
    calls: Vec<Call>,
    is_away: bool,
    next_listener: u64,
    exec: ExecAnswer,
}

/// Given `pod/container` and the command, says how it ends.
type ExecAnswer = Box<dyn FnMut(&str, &[String]) -> Exec + Send>;

impl Default for FakeOptions {
    fn default() -> Self {
        let new_year = Timestamp::from_second(1_704_067_200).unwrap_or(Timestamp::UNIX_EPOCH);
        Self {
            seed: 0,
            clock: Clock::starting_at(new_year),
        }
    }
}

impl Default for FakeRuntime {
    fn default() -> Self {
        Self::new(FakeOptions::default())
    }
}

/// Scripting what is to come.
impl FakeRuntime {
    /// A runtime without sandboxes, containers and images, ready in all respects.
    pub fn new(options: FakeOptions) -> Self {
        let shared = Shared {
            state: State::new(options.clock, options.seed),
            faults: Faults::default(),
            calls: Vec::new(),
            is_away: false,
            next_listener: 0,
            exec: Box::new(|_, _| Exec::default()),
        };
        Self {
            inner: Arc::new(Inner {
                shared: Mutex::new(shared),
                changed: Notify::new(),
            }),
        }
    }

    /// How the containers of a name live and die that are created from now on.
    pub fn behave(&self, container: &str, behaviour: Behaviour) {
        let mut shared = self.inner.shared.lock();
        shared
            .state
            .behaviours
            .insert(container.to_owned(), behaviour);
    }

    /// How commands in containers end from now on.
    ///
    /// The answer is given `pod/container` and the command; until it is set, all commands succeed
    /// at once and write nothing.
    pub fn on_exec(&self, answer: impl FnMut(&str, &[String]) -> Exec + Send + 'static) {
        self.inner.shared.lock().exec = Box::new(answer);
    }

    /// What befalls the next call of a method that has no fault yet: faults of a method queue up,
    /// one for each call.
    ///
    /// # Panics
    ///
    /// If CRI has no such method, since such a fault would never come to pass.
    pub fn fault(&self, method: &'static str, fault: Fault) {
        assert!(METHODS.contains(&method), "CRI has no method {method:?}");
        self.inner.shared.lock().faults.push(method, fault);
    }

    /// Forgets the faults that are still to come.
    pub fn clear_faults(&self) {
        self.inner.shared.lock().faults.clear();
    }

    /// The runtime is away: its containers go on, all calls fail with Unavailable, those under way
    /// as well, and streams of events end.
    pub fn go_away(&self) {
        self.inner.shared.lock().is_away = true;
        self.inner.changed.notify_waiters();
    }

    /// The runtime is back.
    pub fn come_back(&self) {
        self.inner.shared.lock().is_away = false;
    }

    /// Puts an image onto the node. All others can be pulled.
    pub fn add_image(&self, image: v1::Image) {
        let mut shared = self.inner.shared.lock();
        shared.state.images.insert(image.id.clone(), image);
    }

    /// How many images are on the node.
    pub fn image_count(&self) -> usize {
        self.inner.shared.lock().state.images.len()
    }

    /// What the runtime says of its readiness: `RuntimeReady`, `NetworkReady` or another condition.
    pub fn set_condition(&self, condition: v1::RuntimeCondition) {
        let mut shared = self.inner.shared.lock();
        let kind = condition.r#type.clone();
        shared.state.conditions.insert(kind, condition);
    }

    /// A running container ends now, as when its process is killed from outside.
    pub fn exit(&self, container_id: &str, code: i32) {
        let now = Instant::now();
        self.apply(|state| state.kill(container_id, code, now));
    }

    /// A sandbox is not ready any more, as when its own process is killed from outside.
    ///
    /// Its containers go on.
    pub fn lose_sandbox(&self, id: &str) {
        self.apply(|state| {
            if let Some(sandbox) = state.sandboxes.get_mut(id) {
                sandbox.status.state = PodSandboxState::SandboxNotready.into();
                state.tell(ContainerEventType::ContainerStoppedEvent, id, id);
            }
        });
    }
}

/// Looking at what has become.
impl FakeRuntime {
    /// All calls so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.inner.shared.lock().calls.clone()
    }

    /// All calls since they were last taken.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inner.shared.lock().calls)
    }

    /// All sandboxes, oldest first.
    pub fn sandboxes(&self) -> Vec<v1::PodSandboxStatus> {
        let mut sandboxes: Vec<_> = self.apply(|state| {
            let sandboxes = state.sandboxes.values();
            sandboxes.map(|sandbox| sandbox.status.clone()).collect()
        });
        sandboxes.sort_by_key(|sandbox| sandbox.created_at);
        sandboxes
    }

    /// All containers, oldest first.
    pub fn containers(&self) -> Vec<v1::ContainerStatus> {
        let mut containers: Vec<_> = self.apply(|state| {
            let containers = state.containers.values();
            containers
                .map(|container| container.status.clone())
                .collect()
        });
        containers.sort_by_key(|container| container.created_at);
        containers
    }

    /// What a container was made from, while it is there.
    pub fn container_config(&self, id: &str) -> Option<v1::ContainerConfig> {
        self.peek(|state| Some(state.container(id).ok()?.config.clone()))
    }

    /// What a sandbox was made from, while it is there.
    pub fn sandbox_config(&self, id: &str) -> Option<v1::PodSandboxConfig> {
        self.peek(|state| Some(state.sandbox(id).ok()?.config.clone()))
    }

    /// What the pulls that took effect asked for, in order.
    pub fn pulls(&self) -> Vec<v1::PullImageRequest> {
        self.peek(|state| state.pulls.clone())
    }

    /// The newest container of a name in the pods of a name.
    pub fn container(&self, pod: &str, name: &str) -> Option<v1::ContainerStatus> {
        let subject = format!("{pod}/{name}");
        self.apply(|state| {
            let containers = state.containers.values();
            containers
                .filter(|container| state.subject(&container.status.id) == subject)
                .max_by_key(|container| {
                    let attempt = container.status.metadata.as_ref().map(|data| data.attempt);
                    // The clock may have been set back meanwhile.
                    (attempt, container.status.created_at)
                })
                .map(|container| container.status.clone())
        })
    }
}

/// What the services are made of.
impl FakeRuntime {
    /// One call, from its arrival to its answer.
    pub(super) async fn call<T>(
        &self,
        method: &'static str,
        subject: &str,
        effect: impl FnOnce(&mut State, Instant) -> Result<T, Status>,
    ) -> Result<T, Status> {
        self.call_for(method, subject, 0, effect).await
    }

    /// [`call`](Self::call), of one that asks to be waited for.
    pub(super) async fn call_for<T>(
        &self,
        method: &'static str,
        subject: &str,
        seconds: i64,
        effect: impl FnOnce(&mut State, Instant) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let fault = self.receive(method, subject, seconds)?;
        match &fault {
            Some(Fault::Refused(status)) => return Err(status.clone()),
            Some(Fault::Delayed(delay)) => {
                sleep(*delay).await;
                self.check_present()?;
            }
            Some(Fault::Lost) | None => {}
        }
        let answer = self.apply(|state| effect(state, Instant::now()));
        match fault {
            Some(Fault::Lost) => Err(Status::unavailable("the connection was lost")),
            _ => answer,
        }
    }

    pub(super) fn check_present(&self) -> Result<(), Status> {
        if self.inner.shared.lock().is_away {
            Err(Status::unavailable("the runtime is away"))
        } else {
            Ok(())
        }
    }

    /// What a command comes to.
    pub(super) fn exec(&self, container_id: &str, command: &[String]) -> Exec {
        let mut shared = self.inner.shared.lock();
        let subject = shared.state.subject(container_id);
        (shared.exec)(&subject, command)
    }

    pub(super) fn listen(&self) -> Listener {
        let mut shared = self.inner.shared.lock();
        let number = shared.next_listener;
        shared.next_listener += 1;
        shared.state.listeners.insert(number, Default::default());
        Listener::new(self.clone(), number)
    }

    pub(super) fn forget(&self, listener: u64) {
        let mut shared = self.inner.shared.lock();
        shared.state.listeners.remove(&listener);
    }

    pub(super) fn changed(&self) -> &Notify {
        &self.inner.changed
    }

    /// Changes the state as it is now, and wakes those who listen.
    pub(super) fn apply<T>(&self, effect: impl FnOnce(&mut State) -> T) -> T {
        let answer = self.peek(effect);
        self.inner.changed.notify_waiters();
        answer
    }

    /// Looks at the state as it is now.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        let mut shared = self.inner.shared.lock();
        shared.state.settle(Instant::now());
        look(&mut shared.state)
    }

    fn receive(
        &self,
        method: &'static str,
        subject: &str,
        seconds: i64,
    ) -> Result<Option<Fault>, Status> {
        let mut shared = self.inner.shared.lock();
        let call = Call {
            method,
            subject: shared.state.subject(subject),
            seconds,
            at: Instant::now(),
        };
        shared.calls.push(call);
        if shared.is_away {
            return Err(Status::unavailable("the runtime is away"));
        }
        Ok(shared.faults.pop(method))
    }
}

impl fmt::Debug for FakeRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = self.inner.shared.lock();
        f.debug_struct("FakeRuntime")
            .field("state", &shared.state)
            .field("faults", &shared.faults)
            .finish_non_exhaustive()
    }
}

/// The grace of a call, in which CRI counts seconds and may count below zero.
pub(super) fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or(0))
}
