//! Settings as Python hands them over. The face has checked them; here they become the core's types.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};

use crate::media::silence::SilenceConfig;
use crate::media::stream::StreamConfig;
use crate::media::voice::VoiceConfig;
use crate::net::{Authorities, ClientAuth, ClientTls, Options, Trust, Versions, client_config, server_config};
use crate::proto::{DeflateConfig, DeflateConfigError, Limits, Role};
use crate::session::{Stereo, StreamsConfig};

use super::errors;

/// TLS settings, read and checked once.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct TlsConfig {
    pub(super) client: Option<Arc<ClientConfig>>,
    pub(super) server: Option<Arc<ServerConfig>>,
    pub(super) server_name: Option<ServerName<'static>>,
}

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "arguments come from Python as values")]
impl TlsConfig {
    #[staticmethod]
    #[pyo3(signature = (*, ca_file, ca_certificates, trust, fingerprint, versions, cert_file, key_file, server_name))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn client(
        py: Python<'_>,
        ca_file: Option<PathBuf>,
        ca_certificates: Option<Vec<Vec<u8>>>,
        trust: &str,
        fingerprint: Option<Vec<u8>>,
        versions: &str,
        cert_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
        server_name: Option<String>,
    ) -> PyResult<Self> {
        let server_name = server_name
            .map(|name| {
                let expected = "a DNS name or an IP address";
                ServerName::try_from(name.clone())
                    .map_err(|_| errors::parameter(py, "server_name", &format!("{name:?}"), expected))
            })
            .transpose()?;
        let authorities = match (ca_file, ca_certificates) {
            (Some(path), _) => Authorities::File(path),
            (None, Some(certificates)) => Authorities::Certificates(certificates),
            (None, None) => Authorities::System,
        };
        let trust = match (trust, fingerprint) {
            ("full", None) => Trust::Full,
            ("any_name", None) => Trust::AnyName,
            ("anybody", None) => Trust::Anybody,
            ("pinned", Some(digest)) => Trust::Pinned(digest),
            _ => {
                return Err(errors::parameter(
                    py,
                    "trust",
                    trust,
                    "full, any_name, anybody, or pinned with a fingerprint",
                ));
            }
        };
        let versions = match versions {
            "both" => Versions::Both,
            "1.2" => Versions::Only12,
            "1.3" => Versions::Only13,
            _ => return Err(errors::parameter(py, "versions", versions, "both, 1.2 or 1.3")),
        };
        let settings = ClientTls { authorities, trust, versions, cert_file, key_file };
        let config = py.detach(|| client_config(&settings));
        Ok(Self { client: Some(config.map_err(|e| errors::tls(py, &e))?), server: None, server_name })
    }

    #[staticmethod]
    fn server(
        py: Python<'_>,
        cert_file: PathBuf,
        key_file: PathBuf,
        client_ca_file: Option<PathBuf>,
        client_required: bool,
    ) -> PyResult<Self> {
        let clients = match &client_ca_file {
            None => ClientAuth::Off,
            Some(path) if client_required => ClientAuth::Required(path),
            Some(path) => ClientAuth::Optional(path),
        };
        let config = py.detach(|| server_config(&cert_file, &key_file, clients));
        Ok(Self { client: None, server: Some(config.map_err(|e| errors::tls(py, &e))?), server_name: None })
    }
}

/// Limits and time-outs of one connection.
#[pyclass(frozen, module = "voxwire._core")]
pub(super) struct ConnectionOptions(pub(super) Arc<Options>);

#[pymethods]
impl ConnectionOptions {
    #[new]
    #[pyo3(signature = (*, connect_timeout, handshake_timeout, close_timeout, ping_interval, ping_timeout,
        max_message_size, max_fragments, compression, incoming, receive_buffer, send_buffer, media, playout_delay,
        playout_delay_max, playout_buffer, conceal, silence_duration, silence_threshold, levels,
        voice_activity, split_stereo, privacy, max_streams, trace))]
    #[expect(clippy::fn_params_excessive_bools, reason = "keyword arguments of Python")]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments of Python")]
    fn new(
        py: Python<'_>,
        connect_timeout: Option<f64>,
        handshake_timeout: Option<f64>,
        close_timeout: f64,
        ping_interval: Option<f64>,
        ping_timeout: Option<f64>,
        max_message_size: usize,
        max_fragments: usize,
        compression: Option<Deflate>,
        incoming: bool,
        receive_buffer: usize,
        send_buffer: usize,
        media: bool,
        playout_delay: f64,
        playout_delay_max: Option<f64>,
        playout_buffer: f64,
        conceal: bool,
        silence_duration: f64,
        silence_threshold: Option<f32>,
        levels: bool,
        voice_activity: Option<VoiceActivity>,
        split_stereo: bool,
        privacy: bool,
        max_streams: usize,
        trace: Option<PathBuf>,
    ) -> PyResult<Self> {
        let seconds = |field: &str, value: f64| seconds(py, field, value);
        let optional = |field: &str, value: Option<f64>| value.map(|v| seconds(field, v)).transpose();
        let silence = SilenceConfig {
            duration: seconds("silence_duration", silence_duration)?,
            threshold_dbfs: silence_threshold,
        };
        let stereo = if split_stereo { Stereo::Split } else { Stereo::Mix };
        let role = if incoming { Role::Server } else { Role::Client };
        let deflate = compression.map(|fields| fields.config(py, role)).transpose()?;
        let stream = StreamConfig {
            playout_delay: seconds("playout_delay", playout_delay)?,
            playout_delay_max: optional("playout_delay_max", playout_delay_max)?,
            max_buffered: seconds("playout_buffer", playout_buffer)?,
            conceal,
            silence,
            levels,
            voice: voice_activity.map(|fields| fields.config(py)).transpose()?,
            ..StreamConfig::default()
        };
        Ok(Self(Arc::new(Options {
            connect_timeout: optional("connect_timeout", connect_timeout)?,
            handshake_timeout: optional("handshake_timeout", handshake_timeout)?,
            close_timeout: seconds("close_timeout", close_timeout)?,
            ping_interval: optional("ping_interval", ping_interval)?,
            ping_timeout: optional("ping_timeout", ping_timeout)?,
            limits: Limits { max_message_size, max_fragments },
            deflate,
            receive_buffer,
            send_buffer,
            media: media.then_some(StreamsConfig { stream, max_streams, stereo }),
            privacy,
            trace,
        })))
    }
}

/// The fields of a `VoiceActivity`, as Python holds them.
#[derive(FromPyObject)]
struct VoiceActivity {
    threshold: f32,
    min_speech: f64,
    min_silence: f64,
}

impl VoiceActivity {
    fn config(&self, py: Python<'_>) -> PyResult<VoiceConfig> {
        Ok(VoiceConfig {
            threshold: self.threshold,
            min_speech: seconds(py, "voice_activity.min_speech", self.min_speech)?,
            min_silence: seconds(py, "voice_activity.min_silence", self.min_silence)?,
        })
    }
}

/// The fields of a `Compression`, as Python holds them.
#[derive(FromPyObject)]
struct Deflate {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
    threshold: usize,
    level: u8,
    memory_level: u8,
}

impl Deflate {
    fn config(self, py: Python<'_>, role: Role) -> PyResult<DeflateConfig> {
        let default = DeflateConfig::for_role(role);
        let own = match role {
            Role::Client => self.client_max_window_bits,
            Role::Server => self.server_max_window_bits,
        };
        let config = DeflateConfig {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: self.server_max_window_bits.unwrap_or(default.server_max_window_bits),
            client_max_window_bits: self.client_max_window_bits.unwrap_or(default.client_max_window_bits),
            own_max_window_bits: own.unwrap_or(default.own_max_window_bits),
            threshold: self.threshold,
            level: self.level,
            mem_level: self.memory_level,
        };
        let wrong = |e: DeflateConfigError| {
            errors::parameter(py, e.field, &e.value.to_string(), &format!("{} to {}", e.min, e.max))
        };
        config.check().map_err(wrong)?;
        Ok(config)
    }
}

/// A time in seconds, bounded so that adding it to a clock cannot overflow.
pub(super) fn seconds(py: Python<'_>, field: &str, value: f64) -> PyResult<Duration> {
    const MAX: f64 = 1e9;
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if value <= MAX => Ok(duration),
        _ => Err(errors::parameter(py, field, &value.to_string(), "seconds from 0 to 1e9")),
    }
}
