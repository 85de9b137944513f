//! The engine process: what the hidden subcommand of the binary runs, started by the supervisor and by nothing else.
//! Standard input is the control socket (settings in, "ready" out, its end means: stop); standard output the listener.

use crate::config::EngineConfig;
use crate::engine::{self, Engine, locate_library};
use crate::error::{ChildError, EngineError};
use crate::{http, sandbox};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How long the process waits for its predecessor to let go of the data directory.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// How long running statements may take to end after a stop; the supervisor kills a little later.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// What the child says when it serves.
pub(crate) const READY: &str = "ready";

/// Runs the engine until the supervisor is gone or says stop. Returns after a clean shutdown; the caller exits.
///
/// Call it from the hidden subcommand, before any other thread or runtime is started, with `tracing` set up to
/// write to standard error. It reads neither arguments nor environment: all settings come through the control socket.
pub fn run() -> Result<(), ChildError> {
    // The supervisor's thread lives as long as it wants a child, so this signal and the socket say the same.
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| ChildError::io("asking for the death signal")(error.into()))?;
    let control = control_socket()?;
    let listener = inherited_listener()?;
    let config = read_config(&control)?;
    let mut report = control.try_clone().map_err(ChildError::io("cloning the control socket"))?;
    let outcome = engine_process(control, listener, &config);
    if let Err(error) = &outcome {
        // The supervisor shows this as the reason; without it, it would know an exit status only.
        let _ = writeln!(report, "{error}");
    }
    outcome
}

fn engine_process(control: UnixStream, listener: TcpListener, config: &EngineConfig) -> Result<(), ChildError> {
    let library = locate_library(Some(&config.library), None, Path::new("/"))?;

    fs::create_dir_all(&config.data_dir).map_err(ChildError::io("creating the data directory"))?;
    let data = config.data_dir.canonicalize().map_err(ChildError::io("resolving the data directory"))?;
    let _lock = lock(&data)?;
    // The engine looks for `config.xml` and for relative files where it stands: an empty directory.
    let work = data.join("work");
    fs::create_dir_all(&work).map_err(ChildError::io("creating the work directory"))?;
    std::env::set_current_dir(&work).map_err(ChildError::io("entering the work directory"))?;
    // Loaded first, because the loader needs more of the system than the engine does.
    let api = engine::load(&library)?;
    match sandbox::restrict(&library, &data) {
        Ok(true) => {}
        Ok(false) => tracing::warn!("this kernel has no Landlock: only the SQL rules keep the engine from other files"),
        Err(error) => tracing::warn!(error, "the engine process could not be sandboxed"),
    }

    let engine = Engine::open(api, &data.join("store"), config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(ChildError::io("starting the runtime"))?;
    let served = runtime.block_on(serve(control, listener, Arc::clone(&engine), config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    served
}

async fn serve(
    control: UnixStream,
    listener: TcpListener,
    engine: Arc<Engine>,
    config: &EngineConfig,
) -> Result<(), ChildError> {
    listener.set_nonblocking(true).map_err(ChildError::io("preparing the listener"))?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(ChildError::io("preparing the listener"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(ChildError::io("listening for SIGTERM"))?;
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    let server = tokio::spawn({
        let (engine, config) = (Arc::clone(&engine), config.clone());
        async move {
            let stop = async move {
                let _ = until.wait_for(|stop| *stop).await;
            };
            http::serve(listener, engine, &config, stop).await
        }
    });
    let mut said = control.try_clone().map_err(ChildError::io("cloning the control socket"))?;
    said.write_all(format!("{READY}\n").as_bytes()).map_err(ChildError::io("telling that the engine is ready"))?;
    tracing::info!(version = engine.version, "the engine serves");

    tokio::select! {
        _ = terminate.recv() => {}
        () = parent_gone(control) => {}
    }
    let _ = stop.send(true);
    engine.close(DRAIN).await;
    // Connections that clients keep open would hold the server: the engine is closed, so nothing is lost with them.
    server.abort();
    Ok(())
}

/// Resolves when the other end of the control socket is closed.
async fn parent_gone(mut control: UnixStream) {
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread of its own: a runtime's blocking thread would hold the runtime's shutdown.
    let watcher = std::thread::Builder::new().name("control".into()).spawn(move || {
        let mut byte = [0_u8; 16];
        while control.read(&mut byte).is_ok_and(|count| count > 0) {}
        let _ = tell.send(());
    });
    if watcher.is_ok() {
        let _ = told.await;
    }
}

fn control_socket() -> Result<UnixStream, ChildError> {
    let fd = io::stdin().as_fd().try_clone_to_owned().map_err(ChildError::io("taking the control socket"))?;
    let socket = UnixStream::from(fd);
    socket.peer_addr().map_err(|_| ChildError::NotSupervised("standard input is not its control socket".into()))?;
    Ok(socket)
}

/// Takes the listener off standard output, and puts nothing in its place: what the library prints must not
/// reach a socket.
fn inherited_listener() -> Result<TcpListener, ChildError> {
    let fd = io::stdout().as_fd().try_clone_to_owned().map_err(ChildError::io("taking the listener"))?;
    let null = OpenOptions::new().write(true).open("/dev/null").map_err(ChildError::io("opening /dev/null"))?;
    rustix::stdio::dup2_stdout(&null).map_err(|error| ChildError::io("closing standard output")(error.into()))?;
    let listener = TcpListener::from(fd);
    listener.local_addr().map_err(|_| ChildError::NotSupervised("standard output is not its listener".into()))?;
    Ok(listener)
}

fn read_config(control: &UnixStream) -> Result<EngineConfig, ChildError> {
    let mut line = String::new();
    BufReader::new(control).read_line(&mut line).map_err(ChildError::io("reading the settings"))?;
    serde_json::from_str(&line)
        .map_err(|error| ChildError::NotSupervised(format!("the settings cannot be read: {error}")))
}

/// The lock goes away with the process, however it ends. A predecessor may still be busy closing its tables.
fn lock(data: &Path) -> Result<File, ChildError> {
    let path = data.join("engine.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(ChildError::io("opening the lock file"))?;
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => return Err(ChildError::DataInUse { path: data.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(ChildError::io("locking the data directory")(error)),
        }
    }
}

impl ChildError {
    /// Whether a restart cannot help.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::NotSupervised(_) | Self::Engine(EngineError::Missing { .. } | EngineError::Unusable { .. })
        )
    }
}
