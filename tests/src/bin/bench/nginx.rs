//! nginx as a plain proxy, the measure for what passing a request on must cost.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// A running nginx with one worker; stopped when dropped.
pub(crate) struct Nginx {
    child: Child,
    address: String,
    _files: tempfile::TempDir,
}

impl Nginx {
    /// Starts it on a free port.
    pub(crate) fn in_front_of(upstream: &str) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{}", vx11_testing_servers::lasting_port());
        let config = files.path().join("nginx.conf");
        std::fs::write(&config, configuration(&address, upstream, &files.path().display().to_string()))?;
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(files.path())
            .stderr(Stdio::inherit())
            .spawn()
            .context("nginx does not start (Debian: apt-get install nginx-light)")?;
        let nginx = Self { child, address, _files: files };
        nginx.wait()?;
        Ok(nginx)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn wait(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while std::net::TcpStream::connect(&self.address).is_err() {
            if begun.elapsed() > Duration::from_secs(5) {
                bail!("nginx does not listen");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(listen: &str, upstream: &str, directory: &str) -> String {
    format!(
        "daemon off; master_process off; worker_processes 1; pid {directory}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 1000000000;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  upstream provider {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;
    }}
  }}
}}
"
    )
}
