//! Throwaway OpenPGP keys, good ones and such as should not be believed.

use elsewhere::stages::model::Fingerprint;
use pgp::composed::{
    ArmorOptions, DetachedSignature, KeyType, SecretKeyParamsBuilder, SignedKeyDetails,
    SignedPublicKey, SignedPublicSubKey, SubkeyParamsBuilder,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    KeyFlags, PacketTrait, PublicKey, RevocationCode, SecretKey, SecretSubkey, Signature,
    SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{Duration, KeyDetails, Password, SignedUser, SigningKey, Tag, Timestamp};

/// 2020-09-13, when keys are made unless something else is said.
pub const MADE: u32 = 1_600_000_000;

/// How a key is made.
#[derive(Clone)]
pub struct KeyOptions {
    /// Whose key it says that it is.
    pub user: String,
    pub key_type: KeyType,
    /// Seconds that the key is valid from [`MADE`] on.
    pub lifetime: Option<u32>,
    /// The hash algorithm of self-signatures.
    pub self_hash: HashAlgorithm,
    /// Whether the key flags let the primary key sign data.
    pub primary_signs: bool,
    pub subkey: Option<SubkeyOptions>,
}

/// How a signing subkey is made.
#[derive(Clone)]
pub struct SubkeyOptions {
    /// The primary key's, where there is none.
    pub key_type: Option<KeyType>,
    pub signs: bool,
    pub agreement: Agreement,
    pub lifetime: Option<u32>,
}

/// Whether a subkey agrees to be bound: who steals one to pass for its owner cannot make it agree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    Given,
    Missing,
    Forged,
}

impl Default for KeyOptions {
    fn default() -> Self {
        Self {
            user: "A test <test@example.org>".to_owned(),
            key_type: KeyType::Ed25519Legacy,
            lifetime: None,
            self_hash: HashAlgorithm::Sha256,
            primary_signs: true,
            subkey: None,
        }
    }
}

impl Default for SubkeyOptions {
    fn default() -> Self {
        Self { key_type: None, signs: true, agreement: Agreement::Given, lifetime: None }
    }
}

/// What a key says of itself later on.
#[derive(Clone, Copy)]
pub struct OwnOptions {
    pub time: u32,
    /// Seconds that the key is to be valid from [`MADE`] on.
    pub lifetime: Option<u32>,
    /// Seconds that what is said is to count.
    pub ends: Option<u32>,
    pub hash: HashAlgorithm,
    /// Whether the user is the primary one.
    pub primary: bool,
}

impl Default for OwnOptions {
    fn default() -> Self {
        let (time, hash) = (MADE + 100, HashAlgorithm::Sha256);
        Self { time, lifetime: None, ends: None, hash, primary: false }
    }
}

/// How data is signed.
#[derive(Clone)]
pub struct SignOptions {
    pub hash: HashAlgorithm,
    pub time: u32,
    /// Version 3 or 4 of the signature packet.
    pub version: u8,
    pub issuer: Issuer,
    pub by_subkey: bool,
    pub kind: SignatureType,
    /// Seconds that the signature itself is to count.
    pub lifetime: Option<u32>,
}

/// How a signature names its key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Fingerprint,
    KeyId,
    /// As RPM's and GnuPG's own tools do.
    Both,
    Nobody,
}

impl Default for SignOptions {
    fn default() -> Self {
        Self {
            hash: HashAlgorithm::Sha256,
            time: MADE + 1000,
            version: 4,
            issuer: Issuer::Fingerprint,
            by_subkey: false,
            kind: SignatureType::Binary,
            lifetime: None,
        }
    }
}

/// A key pair.
#[derive(Clone)]
pub struct TestKey {
    primary: SecretKey,
    subkey: Option<SecretSubkey>,
    pub public: SignedPublicKey,
}

impl TestKey {
    pub fn new() -> Self {
        Self::with(&KeyOptions::default())
    }

    pub fn with(options: &KeyOptions) -> Self {
        Self::generate(rand::thread_rng(), options)
    }

    /// An RSA key as distributions have them: the same one for the same number, in every run. It
    /// protects nothing and must never be trusted otherwise.
    pub fn of_vendor(user: &str, seed: u64) -> Self {
        let key_type = KeyType::Rsa(2048);
        Self::seeded(seed, &KeyOptions { user: user.to_owned(), key_type, ..KeyOptions::default() })
    }

    /// The same key for the same number, in every run.
    pub fn seeded(seed: u64, options: &KeyOptions) -> Self {
        Self::generate(<rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(seed), options)
    }

    fn generate(random: impl rand::CryptoRng + rand::Rng, options: &KeyOptions) -> Self {
        let made = Timestamp::from_secs(MADE);
        let subkey = |own: &SubkeyOptions| {
            let mut subkey = SubkeyParamsBuilder::default();
            let key_type = own.key_type.as_ref().unwrap_or(&options.key_type);
            subkey.key_type(key_type.clone()).created_at(made).can_sign(true);
            subkey.build().unwrap()
        };
        let mut secret = SecretKeyParamsBuilder::default()
            .key_type(options.key_type.clone())
            .created_at(made)
            .can_certify(true)
            .can_sign(true)
            .primary_user_id(options.user.clone())
            .subkeys(options.subkey.iter().map(subkey).collect())
            .build()
            .unwrap()
            .generate(random)
            .unwrap();
        let primary = secret.primary_key.clone();
        let subkey = options.subkey.as_ref().map(|_| secret.secret_subkeys.remove(0).key);
        let public = certificate(&primary, subkey.as_ref(), options);
        Self { primary, subkey, public }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(&format!("{:X}", self.primary.fingerprint())).unwrap()
    }

    /// The public key as a distribution would publish it.
    pub fn public_file(&self) -> Vec<u8> {
        self.public.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    /// The public key as packets, without armor.
    pub fn public_packets(&self) -> Vec<u8> {
        pgp::ser::Serialize::to_bytes(&self.public).unwrap()
    }

    /// The primary key revokes itself.
    pub fn revoke(&mut self, reason: RevocationCode, time: u32) {
        let mut config = self.config(SignatureType::KeyRevocation, HashAlgorithm::Sha256, time);
        let reason = SubpacketData::RevocationReason(reason, Vec::new().into());
        config.hashed_subpackets.push(Subpacket::regular(reason).unwrap());
        let key = self.primary.public_key();
        let revocation = config.sign_key(&self.primary, &Password::empty(), key).unwrap();
        self.public.details.revocation_signatures.push(revocation);
    }

    /// The primary key revokes its subkey.
    pub fn revoke_subkey(&mut self, reason: RevocationCode, time: u32) {
        let mut config = self.config(SignatureType::SubkeyRevocation, HashAlgorithm::Sha256, time);
        let reason = SubpacketData::RevocationReason(reason, Vec::new().into());
        config.hashed_subpackets.push(Subpacket::regular(reason).unwrap());
        let subkey = self.subkey.as_ref().unwrap().public_key();
        let (key, none) = (self.primary.public_key(), Password::empty());
        let revocation = config.sign_subkey_binding(&self.primary, key, &none, subkey).unwrap();
        self.public.public_subkeys[0].signatures.push(revocation);
    }

    /// The primary key says something more of itself, over itself and not over a user.
    pub fn describe(&mut self, own: &OwnOptions) {
        let config = self.own_config(SignatureType::Key, own);
        let key = self.primary.public_key();
        let signature = config.sign_key(&self.primary, &Password::empty(), key).unwrap();
        self.public.details.direct_signatures.push(signature);
    }

    /// The primary key says something more of the user with this name, who may be new.
    pub fn describe_user(&mut self, name: &str, own: &OwnOptions) {
        self.sign_user(name, self.own_config(SignatureType::CertPositive, own));
    }

    /// The primary key takes back that the user with this name is one of it.
    pub fn revoke_user(&mut self, name: &str, time: u32) {
        let config = self.config(SignatureType::CertRevocation, HashAlgorithm::Sha256, time);
        self.sign_user(name, config);
    }

    fn sign_user(&mut self, name: &str, config: SignatureConfig) {
        let id = UserId::from_str(Default::default(), name).unwrap();
        let (key, none) = (self.primary.public_key(), Password::empty());
        let signature =
            config.sign_certification(&self.primary, key, &none, Tag::UserId, &id).unwrap();
        let users = &mut self.public.details.users;
        match users.iter_mut().find(|user| user.id == id) {
            Some(user) => user.signatures.push(signature),
            None => users.push(SignedUser::new(id, vec![signature])),
        }
    }

    fn own_config(&self, kind: SignatureType, own: &OwnOptions) -> SignatureConfig {
        let mut config = self.config(kind, own.hash, own.time);
        describe(&mut config, true, own.lifetime);
        let ends = own.ends.map(Duration::from_secs).map(SubpacketData::SignatureExpirationTime);
        let primary = own.primary.then_some(SubpacketData::IsPrimary(true));
        let more = ends.into_iter().chain(primary);
        config.hashed_subpackets.extend(more.map(|data| Subpacket::regular(data).unwrap()));
        config
    }

    /// A signature by which this key calls the first user of `of` its owner, and gives that key a lifetime
    /// of so many seconds.
    pub fn certify(&self, of: &TestKey, lifetime: u32, time: u32) -> Signature {
        let mut config = self.config(SignatureType::CertPositive, HashAlgorithm::Sha256, time);
        describe(&mut config, true, Some(lifetime));
        let (key, id) = (of.primary.public_key(), &of.public.details.users[0].id);
        config.sign_certification(&self.primary, key, &Password::empty(), Tag::UserId, id).unwrap()
    }

    /// The subkey of this key bound to the primary key of `to`, which it agrees to, by this primary key.
    pub fn bind(&self, to: &TestKey, options: &SubkeyOptions, time: u32) -> Signature {
        let subkey = self.subkey.as_ref().unwrap();
        let config = self.config(SignatureType::SubkeyBinding, HashAlgorithm::Sha256, time);
        bind(config, (&self.primary, to.primary.public_key()), subkey, options)
    }

    /// A signature packet over `data`.
    pub fn sign(&self, data: &[u8], options: &SignOptions) -> Vec<u8> {
        let signature = match (options.by_subkey, &self.subkey) {
            (true, Some(subkey)) => sign(subkey, data, options),
            _ => sign(&self.primary, data, options),
        };
        let mut bytes = Vec::new();
        signature.to_writer_with_header(&mut bytes).unwrap();
        bytes
    }

    /// An armored detached signature, as beside `repomd.xml`.
    pub fn sign_detached(&self, data: &[u8]) -> Vec<u8> {
        let options = SignOptions { issuer: Issuer::Both, ..SignOptions::default() };
        let signature = sign(&self.primary, data, &options);
        let detached = DetachedSignature::new(signature);
        detached.to_armored_bytes(ArmorOptions::default()).unwrap()
    }

    fn config(&self, kind: SignatureType, hash: HashAlgorithm, time: u32) -> SignatureConfig {
        config(&self.primary, kind, hash, time)
    }
}

fn config(
    key: &impl KeyDetails,
    kind: SignatureType,
    hash: HashAlgorithm,
    time: u32,
) -> SignatureConfig {
    let mut config = SignatureConfig::v4(kind, key.algorithm(), hash);
    let time = SubpacketData::SignatureCreationTime(Timestamp::from_secs(time));
    let issuer = SubpacketData::IssuerFingerprint(key.fingerprint());
    config.hashed_subpackets =
        vec![Subpacket::regular(time).unwrap(), Subpacket::regular(issuer).unwrap()];
    // By which GnuPG knows that a key has signed itself.
    let id = SubpacketData::IssuerKeyId(key.legacy_key_id());
    config.unhashed_subpackets = vec![Subpacket::regular(id).unwrap()];
    config
}

fn describe(config: &mut SignatureConfig, signs: bool, lifetime: Option<u32>) {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(signs);
    config.hashed_subpackets.push(Subpacket::regular(SubpacketData::KeyFlags(flags)).unwrap());
    if let Some(seconds) = lifetime {
        let lifetime = Duration::from_secs(seconds);
        let data = SubpacketData::KeyExpirationTime(lifetime);
        config.hashed_subpackets.push(Subpacket::regular(data).unwrap());
    }
}

fn certificate(
    primary: &SecretKey,
    subkey: Option<&SecretSubkey>,
    options: &KeyOptions,
) -> SignedPublicKey {
    let public: &PublicKey = primary.public_key();
    let none = Password::empty();
    let id = UserId::from_str(Default::default(), &options.user).unwrap();
    let mut own = config(primary, SignatureType::CertPositive, options.self_hash, MADE);
    describe(&mut own, options.primary_signs, options.lifetime);
    let own = own.sign_certification(primary, public, &none, Tag::UserId, &id).unwrap();
    let users = vec![SignedUser::new(id, vec![own])];
    let details = SignedKeyDetails::new(Vec::new(), Vec::new(), users, Vec::new());
    let subkeys = subkey.map(|subkey| {
        let wanted = options.subkey.clone().unwrap();
        let binding = config(primary, SignatureType::SubkeyBinding, options.self_hash, MADE);
        let binding = bind(binding, (primary, public), subkey, &wanted);
        SignedPublicSubKey::new(subkey.public_key().clone(), vec![binding])
    });
    SignedPublicKey::new(public.clone(), details, subkeys.into_iter().collect())
}

/// Binds a subkey to the key `to`, as `by` says.
fn bind(
    mut binding: SignatureConfig,
    (by, to): (&SecretKey, &PublicKey),
    subkey: &SecretSubkey,
    options: &SubkeyOptions,
) -> Signature {
    let none = Password::empty();
    describe(&mut binding, options.signs, options.lifetime);
    if options.agreement != Agreement::Missing {
        let back = config(subkey, SignatureType::KeyBinding, binding.hash_alg, MADE);
        // Forged: the subkey has signed, but that it belongs to itself.
        let back = match options.agreement {
            Agreement::Forged => {
                let own = subkey.public_key();
                back.sign_primary_key_binding(subkey, own, &none, own)
            }
            _ => back.sign_primary_key_binding(subkey, subkey.public_key(), &none, to),
        };
        let back = SubpacketData::EmbeddedSignature(Box::new(back.unwrap()));
        binding.hashed_subpackets.push(Subpacket::regular(back).unwrap());
    }
    binding.sign_subkey_binding(by, to, &none, subkey.public_key()).unwrap()
}

fn sign<K: SigningKey>(key: &K, data: &[u8], options: &SignOptions) -> Signature {
    let time = Timestamp::from_secs(options.time);
    if options.version == 3 {
        return sign_v3(key, data, options, time);
    }
    let mut config = SignatureConfig::v4(options.kind, key.algorithm(), options.hash);
    config.hashed_subpackets =
        vec![Subpacket::regular(SubpacketData::SignatureCreationTime(time)).unwrap()];
    let issuer = match options.issuer {
        Issuer::Fingerprint | Issuer::Both => {
            Some(SubpacketData::IssuerFingerprint(key.fingerprint()))
        }
        Issuer::KeyId => Some(SubpacketData::IssuerKeyId(key.legacy_key_id())),
        Issuer::Nobody => None,
    };
    config.hashed_subpackets.extend(issuer.map(|data| Subpacket::regular(data).unwrap()));
    let end = options.lifetime.map(Duration::from_secs).map(SubpacketData::SignatureExpirationTime);
    config.hashed_subpackets.extend(end.map(|data| Subpacket::regular(data).unwrap()));
    if options.issuer == Issuer::Both {
        let id = SubpacketData::IssuerKeyId(key.legacy_key_id());
        config.unhashed_subpackets.push(Subpacket::regular(id).unwrap());
    }
    config.sign(key, &Password::empty(), data).unwrap()
}

/// Version 3, which libraries read and do not write any more.
fn sign_v3<K: SigningKey>(
    key: &K,
    data: &[u8],
    options: &SignOptions,
    time: Timestamp,
) -> Signature {
    let id = key.legacy_key_id();
    let config = SignatureConfig::v3(options.kind, key.algorithm(), options.hash, time, id);
    let mut hasher = options.hash.new_hasher().unwrap();
    hasher.update(data);
    config.hash_signature_data(&mut hasher).unwrap();
    let hash = hasher.finalize();
    let raw = key.sign(&Password::empty(), options.hash, &hash).unwrap();
    Signature::from_config(config, [hash[0], hash[1]], raw).unwrap()
}
