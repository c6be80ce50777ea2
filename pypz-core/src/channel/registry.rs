//! Transports by scheme.

use super::{Location, Transport, memory};

/// Registers a transport: `inventory::submit!(TransportRegistration::new(&MyTransport))`.
pub struct TransportRegistration(&'static dyn Transport);

impl TransportRegistration {
    /// Names the transport to register.
    #[must_use]
    pub const fn new(transport: &'static dyn Transport) -> Self {
        Self(transport)
    }
}

impl std::fmt::Debug for TransportRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TransportRegistration")
            .field(&self.0.schemes())
            .finish()
    }
}

inventory::collect!(TransportRegistration);

fn transports() -> impl Iterator<Item = &'static dyn Transport> {
    let memory: &'static dyn Transport = &memory::Memory;
    std::iter::once(memory)
        .chain(inventory::iter::<TransportRegistration>().map(|registration| registration.0))
}

/// The schemes that this program can serve.
#[must_use]
pub fn schemes() -> Vec<&'static str> {
    transports()
        .flat_map(|transport| transport.schemes().iter().copied())
        .collect()
}

/// The transport for a location.
///
/// # Errors
///
/// A sentence that names the feature to turn on, or the schemes that there are.
pub fn transport_for(location: &Location) -> Result<&'static dyn Transport, String> {
    let scheme = location.scheme();
    transports()
        .find(|transport| transport.schemes().contains(&scheme))
        .ok_or_else(|| {
            let known = schemes().join("://, ");
            let feature = match scheme {
                "kafka" => Some("kafka"),
                "amqp" => Some("rabbitmq"),
                "amqps" => Some("rabbitmq-tls"),
                _ => None,
            };
            match feature {
            Some(feature) => format!(
                "channelLocation {scheme}:// needs the feature '{feature}' of pypz: build with --features {feature}, or \
                 pypz = {{ features = [\"{feature}\"] }} in Cargo.toml"
            ),
            None => format!("no transport serves {scheme}://: this program knows {known}://"),
        }
        })
}
