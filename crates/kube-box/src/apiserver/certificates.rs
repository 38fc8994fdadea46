//! The certificates of one embedded API server: made once for a folder, so that what was handed out stays valid when
//! the server is started again.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

/// By which names the server is called: as clients of this machine do, as those of a node do, and as pods.
const NAMES: [&str; 7] = [
    "127.0.0.1",
    "localhost",
    crate::space::ADDRESS,
    super::SERVICE,
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// Who has a certificate: the file, the user and its group. The users are those that Kubernetes' own roles are for (its
/// documentation, reference/access-authn-authz/rbac); the group of the first may do everything.
const CLIENTS: [(&str, &str, Option<&str>); 5] = [
    ("admin", "admin", Some("system:masters")),
    ("kubelet", "system:node:edge", Some("system:nodes")),
    ("kube-controller-manager", "system:kube-controller-manager", None),
    ("kube-scheduler", "system:kube-scheduler", None),
    ("kube-proxy", "system:kube-proxy", None),
];

/// By which name the API server calls the webhook of Seldon's operator.
const WEBHOOK: &str = "seldon-webhook-service.seldon-system.svc";

/// The files of a folder's certificates.
#[derive(Debug, Clone)]
pub(crate) struct Certificates {
    folder: PathBuf,
    pub(crate) ca_pem: String,
}

impl Certificates {
    /// Those of that folder, made first if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be written or read.
    pub(crate) fn of(folder: &Path) -> Result<Self> {
        if !folder.exists() {
            // Made aside and then named, so that a folder of that name is a whole one.
            let partial = folder.with_extension(format!("partial.{}", std::process::id()));
            private_folder(&partial)?;
            make(&partial)?;
            fs::rename(&partial, folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        let mut certificates = Self {
            folder: folder.to_owned(),
            ca_pem: String::new(),
        };
        certificates.ca_pem = certificates.read("ca.crt")?;
        Ok(certificates)
    }

    /// The path of one of the files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The text of one of the files, which are all PEM.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let file = self.path(name);
        fs::read_to_string(&file).with_context(|| {
            format!(
                "{} cannot be read; delete {} and start again",
                file.display(),
                self.folder.display()
            )
        })
    }
}

/// Makes a folder that only its owner can look into, if it is not there.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))
}

/// Writes a file that only its owner can read, from the first byte on.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn private_file(file: &Path, text: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(text))
        .with_context(|| format!("{} cannot be written", file.display()))
}

fn make(folder: &Path) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = named("seldon-model-site");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    private_file(&folder.join("ca.crt"), ca_certificate.pem().as_bytes())?;
    let issuer = Issuer::new(ca, ca_key);

    let mut server = named("kube-apiserver");
    server.subject_alt_names = CertificateParams::new(NAMES.map(str::to_owned).to_vec())?.subject_alt_names;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(folder, "apiserver", server, &issuer)?;

    for (file, name, group) in CLIENTS {
        let mut client = named(name);
        if let Some(group) = group {
            client.distinguished_name.push(DnType::OrganizationName, group);
        }
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        sign(folder, file, client, &issuer)?;
    }

    let mut webhook = named("seldon-webhook-service");
    webhook.subject_alt_names = CertificateParams::new(vec![WEBHOOK.to_owned()])?.subject_alt_names;
    webhook.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(folder, "webhook", webhook, &issuer)?;

    // No certificate: what signs the tokens of service accounts, and what verifies them.
    let tokens = KeyPair::generate()?;
    private_file(&folder.join("tokens.key"), tokens.serialize_pem().as_bytes())?;
    private_file(&folder.join("tokens.pub"), tokens.public_key_pem().as_bytes())
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

fn sign(folder: &Path, name: &str, mut parameters: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, issuer)?;
    private_file(&folder.join(format!("{name}.crt")), certificate.pem().as_bytes())?;
    private_file(&folder.join(format!("{name}.key")), key.serialize_pem().as_bytes())
}
