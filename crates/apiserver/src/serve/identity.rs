//! Who the listener is to its clients: a certificate, and the authority that vouches for it.

use std::sync::Arc;

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ServeError;

/// The names that the certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A server certificate and the authority that signed it.
///
/// The authority lives for one listener: its key is dropped as soon as it has signed.
pub(super) struct Identity {
    pub(super) ca_pem: String,
    pub(super) tls: Arc<ServerConfig>,
}

impl Identity {
    /// An authority and a certificate that are valid from an hour before `now` for a year.
    pub(super) fn generate(now: Timestamp) -> Result<Self, ServeError> {
        let refused = |error: rcgen::Error| ServeError::Certificate(error.into());

        let mut ca = CertificateParams::default();
        ca.distinguished_name
            .push(DnType::CommonName, "kubewright-ca");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_for_a_year(&mut ca, now);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().map_err(refused)?)
            .map_err(refused)?;

        let mut server = CertificateParams::new(NAMES.map(str::to_owned)).map_err(refused)?;
        server
            .distinguished_name
            .push(DnType::CommonName, "kubewright-apiserver");
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        valid_for_a_year(&mut server, now);
        let key = KeyPair::generate().map_err(refused)?;
        let certificate = server.signed_by(&key, &ca).map_err(refused)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServeError::Certificate(error.into()))?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(|error| ServeError::Certificate(error.into()))?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem: ca.pem(),
            tls: Arc::new(tls),
        })
    }
}

fn valid_for_a_year(certificate: &mut CertificateParams, now: Timestamp) {
    let day = |moment: Timestamp| {
        let date = moment.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // Whole days, so the certificate may begin up to a day before that hour and end as much earlier.
    certificate.not_before = day(now.saturating_sub(1.hour()).unwrap_or(now));
    certificate.not_after = day(now.saturating_add((365 * 24).hours()).unwrap_or(now));
}
