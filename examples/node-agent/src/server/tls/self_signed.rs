use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp, ToSpan as _, tz::TimeZone};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::unusable;
use crate::config::TlsFiles;
use crate::server::ServerError;

/// How long before its end a certificate is made anew.
const RENEWAL: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The files of a certificate that the agent signs for itself, for `node` and the address: those in
/// the directory as long as they are valid for a while, else new ones.
pub(super) fn self_signed(
    directory: &Path,
    node: &str,
    address: IpAddr,
    now: Timestamp,
) -> Result<TlsFiles, ServerError> {
    let files = TlsFiles {
        certificate: directory.join("kubelet.crt"),
        private_key: directory.join("kubelet.key"),
    };
    let mut names = vec![node.to_owned(), "localhost".to_owned()];
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    if is_valid(&files, &names, now) {
        return Ok(files);
    }
    let failed = |error: rcgen::Error| ServerError::Tls(error.to_string());
    let mut certificate = CertificateParams::new(names).map_err(failed)?;
    certificate
        .distinguished_name
        .push(DnType::CommonName, format!("{node}@{}", now.as_second()));
    certificate.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let day = |moment: Timestamp| {
        let date = moment.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // Whole days: it may begin up to a day before that hour, and end as much earlier.
    certificate.not_before = day(now.saturating_sub(1.hour()).unwrap_or(now));
    certificate.not_after = day(now.saturating_add((365 * 24).hours()).unwrap_or(now));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = certificate.self_signed(&key).map_err(failed)?;

    std::fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
    write(&files.private_key, &key.serialize_pem(), 0o600)?;
    write(&files.certificate, &certificate.pem(), 0o644)?;
    Ok(files)
}

/// Whether both files are there and belong together, and the certificate has these names and is of this
/// time: one that was signed by a clock that went wrong may begin too late.
fn is_valid(files: &TlsFiles, names: &[String], now: Timestamp) -> bool {
    let (Ok(certificate), Ok(key)) = (
        CertificateDer::from_pem_file(&files.certificate),
        PrivateKeyDer::from_pem_file(&files.private_key),
    ) else {
        return false;
    };
    let is_current = X509Certificate::from_der(&certificate).is_ok_and(|(_, certificate)| {
        let validity = certificate.validity();
        let (begin, end) = (validity.not_before, validity.not_after);
        let last = end.timestamp() - RENEWAL.as_secs();
        (begin.timestamp()..last).contains(&now.as_second()) && is_for(&certificate, names)
    });
    // An agent that ends between the two files leaves a new key beside an old certificate.
    let provider = rustls::crypto::ring::default_provider();
    is_current && CertifiedKey::from_der(vec![certificate], key, &provider).is_ok()
}

/// Whether a certificate has these names, and no others that somebody else may have by now.
fn is_for(certificate: &X509Certificate<'_>, names: &[String]) -> bool {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let its = extension.map(|extension| extension.value.general_names.as_slice());
    let its = its.unwrap_or_default().iter().map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match **bytes {
            [a, b, c, d] => IpAddr::from([a, b, c, d]).to_string(),
            _ => <[u8; 16]>::try_from(*bytes)
                .map(|bytes| IpAddr::from(bytes).to_string())
                .unwrap_or_default(),
        },
        other => other.to_string(),
    });
    its.eq(names.iter().cloned())
}

/// Writes a file that nobody reads half of.
fn write(path: &Path, content: &str, mode: u32) -> Result<(), ServerError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut temporary = PathBuf::from(path).into_os_string();
    temporary.push(".new");
    let written = || -> io::Result<()> {
        // Its mode is that of a file which is made, not of one that is there.
        match std::fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)?;
        file.write_all(content.as_bytes())?;
        std::fs::rename(&temporary, path)
    };
    written().map_err(|error| unusable(path, &error))
}
