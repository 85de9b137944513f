//! Keeps one engine process running: starts it, tells its health, restarts it after a crash, stops it cleanly.
//! The listener belongs to this process and is handed to each child, so that the URL outlives every crash and clients
//! that connect in between wait instead of being refused.

use crate::child::{DRAIN, READY};
use crate::config::EngineConfig;
use crate::engine::locate_library;
use crate::error::SupervisorError;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Time for the first answer of a child: opening many parts after a crash takes a while.
const START_MAX: Duration = Duration::from_secs(120);
/// The pauses between restarts double from the first to the second value: a crash loop must not eat a core, and a
/// single crash should be barely seen.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// A child that served this long is taken for healthy; the next crash starts with the shortest pause again.
const HEALTHY: Duration = Duration::from_secs(60);
/// Time between the request to stop and SIGKILL; the child drains a little shorter.
const STOP_MAX: Duration = Duration::from_secs(DRAIN.as_secs() + 5);

/// How the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// A child is starting.
    Starting,
    /// A child serves.
    Ready {
        /// Its process id.
        pid: u32,
    },
    /// The last child ended; another one follows after a pause.
    Down {
        /// What is known about the end.
        reason: String,
        /// How many children have ended unexpectedly since the start.
        crashes: u64,
    },
    /// Stopped on request.
    Stopped,
}

/// Starts and keeps engine processes.
#[derive(Debug)]
pub struct Supervisor;

/// A running supervisor. Dropping it stops the engine, and waits for that.
#[derive(Debug)]
pub struct EngineHandle {
    address: SocketAddr,
    health: watch::Receiver<Health>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopping: Option<Instant>,
    control: Option<UnixStream>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // The state is two plain fields: a panic elsewhere cannot leave them half written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supervisor {
    /// Starts the engine. `prototype` makes the command that calls [`crate::child::run`], for example
    /// `|| { let mut c = Command::new(own_path); c.arg("engine-child"); c }`; its environment is cleared, its standard
    /// input and output are taken, its standard error is kept for logs.
    ///
    /// Returns as soon as the address is bound; [`EngineHandle::ready`] waits for the engine. The library is looked for
    /// here, so that a missing one is told at once.
    pub fn start(
        mut config: EngineConfig,
        prototype: impl Fn() -> Command + Send + 'static,
    ) -> Result<EngineHandle, SupervisorError> {
        config.validate().map_err(SupervisorError::Config)?;
        config.library = locate_library(Some(&config.library), None, Path::new("/"))?;
        config.data_dir = std::path::absolute(&config.data_dir).map_err(io("resolving the data directory"))?;
        let listen = |source| SupervisorError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        config.listen = address;
        let (tell, health) = watch::channel(Health::Starting);
        let shared = Arc::new(Shared::default());
        let keeper = Keeper { config, prototype, listener, tell, shared: Arc::clone(&shared) };
        // A thread of its own for as long as children are wanted: their death signal follows the thread that started
        // them, not the process.
        let thread = std::thread::Builder::new().name("engine-supervisor".into()).spawn(move || keeper.keep());
        let thread = Some(thread.map_err(io("starting the supervisor thread"))?);
        Ok(EngineHandle { address, health, shared, thread })
    }
}

impl EngineHandle {
    /// Where the endpoint is, for clients: `http://127.0.0.1:8123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of the endpoint; it stays the same over restarts.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The health, and its changes.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.clone()
    }

    /// Waits until the engine serves, at most `within`.
    pub async fn ready(&self, within: Duration) -> Result<(), SupervisorError> {
        let mut health = self.health.clone();
        let ready = health.wait_for(|health| matches!(health, Health::Ready { .. } | Health::Stopped));
        match tokio::time::timeout(within, ready).await {
            Ok(Ok(health)) if matches!(*health, Health::Ready { .. }) => Ok(()),
            Ok(_) => Err(SupervisorError::NotReady("it was stopped".into())),
            Err(_) => Err(SupervisorError::NotReady(format!("{:?} after {within:?}", self.health.borrow()))),
        }
    }

    /// Stops the engine: running statements get a few seconds, then it is killed. Blocks until the process is gone.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        {
            let mut state = self.shared.state();
            state.stopping.get_or_insert_with(Instant::now);
            if let Some(control) = &state.control {
                // The child reads the end of the socket, which is its order to stop.
                let _ = control.shutdown(Shutdown::Write);
            }
        }
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for EngineHandle {
    fn drop(&mut self) {
        self.end();
    }
}

struct Keeper<F> {
    config: EngineConfig,
    prototype: F,
    listener: TcpListener,
    tell: watch::Sender<Health>,
    shared: Arc<Shared>,
}

impl<F: Fn() -> Command> Keeper<F> {
    fn keep(self) {
        let mut pause = PAUSE.0;
        let mut crashes = 0;
        while self.shared.state().stopping.is_none() {
            self.tell.send_replace(Health::Starting);
            let started = Instant::now();
            let reason = self.one_child();
            if self.shared.state().stopping.is_some() {
                break;
            }
            crashes += 1;
            if started.elapsed() > HEALTHY {
                pause = PAUSE.0;
            }
            tracing::error!(
                reason,
                crashes,
                pause_ms = pause.as_millis(),
                "the engine process ended; it is started again"
            );
            self.tell.send_replace(Health::Down { reason, crashes });
            let state = self.shared.state();
            let _ = self.shared.wake.wait_timeout_while(state, pause, |state| state.stopping.is_none());
            pause = (pause * 2).min(PAUSE.1);
        }
        self.tell.send_replace(Health::Stopped);
    }

    /// Runs one child to its end and says how it ended.
    fn one_child(&self) -> String {
        let (mut child, control) = match self.spawn() {
            Ok(started) => started,
            Err(error) => return format!("it could not be started: {error}"),
        };
        match control.try_clone() {
            Ok(clone) => self.shared.state().control = Some(clone),
            Err(error) => tracing::warn!(%error, "the control socket cannot be shared: stopping will be a kill"),
        }
        let waited = self.wait(&mut child, control);
        self.shared.state().control = None;
        let last_words = waited.unwrap_or_else(|reason| {
            let _ = child.kill();
            reason
        });
        match child.wait() {
            Ok(status) if last_words.is_empty() => status.to_string(),
            Ok(status) => format!("{status}: {last_words}"),
            Err(error) => format!("it cannot be waited for: {error}"),
        }
    }

    fn spawn(&self) -> std::io::Result<(Child, UnixStream)> {
        let (mut control, childs) = UnixStream::pair()?;
        let mut command = (self.prototype)();
        command
            .env_clear()
            .env("TZ", "UTC")
            .env("HOME", "/nonexistent")
            .stdin(Stdio::from(OwnedFd::from(childs)))
            .stdout(Stdio::from(OwnedFd::from(self.listener.try_clone()?)))
            .stderr(Stdio::inherit());
        let child = command.spawn()?;
        // The command holds the child's end of the socket; without this its end would never be seen here.
        drop(command);
        let mut settings = serde_json::to_vec(&self.config)?;
        settings.push(b'\n');
        control.write_all(&settings)?;
        Ok((child, control))
    }

    /// Returns the child's last words when it has closed its end of the socket; `Err` if it has to be killed.
    fn wait(&self, child: &mut Child, control: UnixStream) -> Result<String, String> {
        let started = Instant::now();
        let tick = Some(Duration::from_millis(200));
        control.set_read_timeout(tick).map_err(|error| format!("no timeout on the control socket: {error}"))?;
        let mut lines = BufReader::new(control);
        let mut line = String::new();
        let mut ready = false;
        let mut last_words = String::new();
        loop {
            match lines.read_line(&mut line) {
                Ok(0) => return Ok(last_words),
                Ok(_) => {
                    if line.trim_end() == READY {
                        ready = true;
                        self.tell.send_replace(Health::Ready { pid: child.id() });
                    } else {
                        line.trim_end().clone_into(&mut last_words);
                    }
                    line.clear();
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(last_words),
                Err(error) => return Err(format!("the control socket failed: {error}")),
            }
            if let Some(since) = self.shared.state().stopping {
                // A stop that came before the socket was shared.
                let _ = lines.get_ref().shutdown(Shutdown::Write);
                if since.elapsed() > STOP_MAX {
                    return Err("it did not stop in time".into());
                }
            }
            if !ready && started.elapsed() > START_MAX {
                return Err("it did not become ready in time".into());
            }
        }
    }
}

fn io(doing: &'static str) -> impl Fn(std::io::Error) -> SupervisorError {
    move |source| SupervisorError::Io { doing, source }
}

/// The path of this very program, for the prototype of a binary that starts itself again.
pub fn own_path() -> Result<PathBuf, SupervisorError> {
    // Through the link, so that a binary that was replaced by an upgrade still starts its own version.
    let path = PathBuf::from("/proc/self/exe");
    if path.exists() { Ok(path) } else { std::env::current_exe().map_err(io("finding this program")) }
}
