//! How an outgoing connection is made, as Python hands it over.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use pyo3::prelude::*;

use crate::net::{self, Environment, Proxies, Proxy};

use super::errors;
use super::options::{TlsConfig, seconds};

/// How the server of an outgoing connection is reached.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct Via(pub(super) net::Via);

#[pymethods]
impl Via {
    #[new]
    #[pyo3(signature = (*, happy_eyeballs_delay, proxy, proxy_tls, max_redirects, local_address, unix_path))]
    fn new(
        py: Python<'_>,
        happy_eyeballs_delay: Option<f64>,
        proxy: Option<Choice>,
        proxy_tls: Option<&TlsConfig>,
        max_redirects: usize,
        local_address: Option<(String, u16)>,
        unix_path: Option<PathBuf>,
    ) -> PyResult<Self> {
        let delay = happy_eyeballs_delay.map(|value| seconds(py, "happy_eyeballs_delay", value)).transpose()?;
        let address = |(host, port): (String, u16)| match host.parse::<IpAddr>() {
            Ok(ip) => Ok(SocketAddr::new(ip, port)),
            Err(_) => {
                Err(errors::parameter(py, "local_address", &format!("{host:?}"), "an IP address of this machine"))
            }
        };
        let local = local_address.map(address).transpose()?;
        let proxies = match proxy {
            // These lead to the server already.
            _ if unix_path.is_some() => Proxies::Direct,
            None | Some(Choice::Environment(false)) => Proxies::Direct,
            // This thread holds the GIL, so Python is not changing the environment meanwhile.
            Some(Choice::Environment(true)) => Proxies::Environment(Environment::read()),
            Some(Choice::Url(url)) => Proxies::One(Proxy::parse(&url).map_err(|e| errors::proxy(py, &e))?),
        };
        Ok(Self(net::Via {
            happy_eyeballs_delay: delay,
            max_redirects,
            local,
            unix: unix_path,
            proxies,
            proxy_tls: proxy_tls.and_then(|tls| tls.client.clone()),
            proxy_server_name: proxy_tls.and_then(|tls| tls.server_name.clone()),
        }))
    }
}

/// Where a proxy is named.
#[derive(FromPyObject)]
enum Choice {
    Environment(bool),
    Url(String),
}
