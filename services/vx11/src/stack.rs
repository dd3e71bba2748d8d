//! The services of this process: start, stop, and start again.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use vx11_chassis::Shutdown;
use vx11_chassis::config::{Common, Settings};
use vx11_chassis::process::{Section, Start, listen, section};
use vx11_tentaculo::{PerService, TentaculoConfig};

use crate::driver::InProcessDriver;

/// An open port for each service.
pub(crate) struct Ports {
    pub(crate) tentaculo: TcpListener,
    pub(crate) operator: TcpListener,
    pub(crate) switch: TcpListener,
    pub(crate) madre: TcpListener,
    pub(crate) mock_provider: TcpListener,
}

/// How long a service may take to stop besides draining: its store writes what it still holds.
const STOP_GRACE: Duration = Duration::from_secs(15);

type Served = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;
type Serve = Box<dyn Fn(TcpListener, Shutdown) -> Served + Send + Sync>;

/// One service, running or not.
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    address: SocketAddr,
    serve: Serve,
    running: Mutex<Option<Running>>,
    failures: mpsc::UnboundedSender<anyhow::Error>,
    stop_limit: Duration,
}

struct Running {
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Unit {
    /// Starts the service on its port; does nothing when it runs.
    pub(crate) async fn start(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.as_ref().is_some_and(|running| !running.task.is_finished()) {
            return Ok(());
        }
        *running = Some(self.launch(listen(self.name, self.address)?));
        Ok(())
    }

    /// Drains and stops the service; does nothing when it does not run.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        let Some(running) = self.running.lock().await.take() else { return Ok(()) };
        running.shutdown.begin();
        let stopped = tokio::time::timeout(self.stop_limit, running.task).await;
        stopped.map_err(|_| anyhow::anyhow!("{} does not stop", self.name))??;
        Ok(())
    }

    pub(crate) async fn is_running(&self) -> bool {
        self.running.lock().await.as_ref().is_some_and(|running| !running.task.is_finished())
    }

    fn launch(&self, listener: TcpListener) -> Running {
        let shutdown = Shutdown::new();
        let served = (self.serve)(listener, shutdown.clone());
        let (name, failures) = (self.name, self.failures.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = served.await {
                // Nobody listens once the process is stopping anyway.
                let _ = failures.send(error.context(name));
            }
        });
        Running { shutdown, task }
    }
}

/// Every service of the process, in the order in which they stop: whoever calls another stops before it.
pub(crate) struct Stack {
    units: Vec<Arc<Unit>>,
    failures: Mutex<mpsc::UnboundedReceiver<anyhow::Error>>,
}

impl Stack {
    /// The names of the services.
    pub(crate) const SERVICES: [&'static str; 5] = ["tentaculo", "operator", "switch", "madre", "mock-provider"];

    /// Starts every service.
    pub(crate) fn start(settings: &Settings, common: &Common, ports: Ports) -> anyhow::Result<Self> {
        let (failures, failed) = mpsc::unbounded_channel();
        let stack = Builder { settings, common, failures };
        let Ports { tentaculo, operator, switch, madre, mock_provider } = ports;
        let tentaculo = stack.unit("tentaculo", tentaculo, |mut start: Start<TentaculoConfig>| {
            // As `urls` are: the services are those of this process.
            start.config.replicas = PerService::default();
            Box::pin(vx11_tentaculo::serve(start))
        })?;
        let operator = stack.unit("operator", operator, |start| Box::pin(vx11_operator::serve(start)))?;
        let switch = stack.unit("switch", switch, |start| Box::pin(vx11_switch::serve(start)))?;
        let mock = stack.unit("mock-provider", mock_provider, |start| Box::pin(vx11_mock_provider::serve(start)))?;
        // madre starts and stops the others, and never itself.
        let driver = Arc::new(InProcessDriver::new([&tentaculo, &operator, &switch, &mock].map(Arc::clone)));
        let madre = stack.unit("madre", madre, move |start| {
            Box::pin(vx11_madre::serve(start, driver.clone() as Arc<dyn vx11_madre::PowerDriver>))
        })?;
        Ok(Self { units: vec![tentaculo, operator, switch, madre, mock], failures: Mutex::new(failed) })
    }

    /// Waits until a service fails.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        let failed = self.failures.lock().await.recv().await;
        failed.unwrap_or_else(|| anyhow::anyhow!("every service has ended"))
    }

    /// Drains and stops every service.
    pub(crate) async fn stop(&self) {
        for unit in &self.units {
            if let Err(error) = unit.stop().await {
                tracing::error!(%error, "stopping");
            }
        }
    }
}

struct Builder<'a> {
    settings: &'a Settings,
    common: &'a Common,
    failures: mpsc::UnboundedSender<anyhow::Error>,
}

impl Builder<'_> {
    fn unit<C, F>(&self, name: &'static str, listener: TcpListener, serve: F) -> anyhow::Result<Arc<Unit>>
    where
        C: Section + Clone + Send + Sync + 'static,
        F: Fn(Start<C>) -> Served + Send + Sync + 'static,
    {
        let config: C = section(self.settings)?;
        let common = self.common.clone();
        let serve = move |listener, shutdown| {
            serve(Start { config: config.clone(), common: common.clone(), listener, shutdown })
        };
        let unit = Unit {
            name,
            address: listener.local_addr()?,
            serve: Box::new(serve),
            running: Mutex::new(None),
            failures: self.failures.clone(),
            stop_limit: self.common.http.shutdown_delay + self.common.http.drain_timeout + STOP_GRACE,
        };
        let running = unit.launch(listener);
        Ok(Arc::new(Unit { running: Mutex::new(Some(running)), ..unit }))
    }
}
