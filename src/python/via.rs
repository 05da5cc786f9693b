//! How an outgoing connection is made, as Python hands it over.

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
    #[pyo3(signature = (*, happy_eyeballs_delay, proxy, proxy_tls, max_redirects))]
    fn new(
        py: Python<'_>,
        happy_eyeballs_delay: Option<f64>,
        proxy: Option<Choice>,
        proxy_tls: Option<&TlsConfig>,
        max_redirects: usize,
    ) -> PyResult<Self> {
        let delay = happy_eyeballs_delay.map(|value| seconds(py, "happy_eyeballs_delay", value)).transpose()?;
        let proxies = match proxy {
            None | Some(Choice::Environment(false)) => Proxies::Direct,
            // This thread holds the GIL, so Python is not changing the environment meanwhile.
            Some(Choice::Environment(true)) => Proxies::Environment(Environment::read()),
            Some(Choice::Url(url)) => Proxies::One(Proxy::parse(&url).map_err(|e| errors::proxy(py, &e))?),
        };
        Ok(Self(net::Via {
            happy_eyeballs_delay: delay,
            max_redirects,
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
