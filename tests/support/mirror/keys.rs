//! Throwaway OpenPGP keys of the mirror's "distributions". They are made from a fixed seed, so that
//! the same mirror is built everywhere: they protect nothing and must never be trusted otherwise.

use pgp::composed::{
    ArmorOptions, DetachedSignature, EncryptionCaps, KeyType, SecretKeyParamsBuilder,
    SignedPublicKey, SignedSecretKey, SubpacketConfig,
};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Subpacket, SubpacketData};
use pgp::types::{KeyDetails, Password, Timestamp};
use rand::SeedableRng;
use rand::rngs::StdRng;

use elsewhere::model::Fingerprint;

/// The day on which keys and packages say that they were made: 2024-01-01.
pub const MADE: u32 = 1_704_067_200;

/// A vendor's key.
pub struct Key {
    secret: SignedSecretKey,
    seed: u64,
}

impl Key {
    /// The key of `user`, an RSA key as EL's are. The same `seed` makes the same key.
    pub fn new(user: &str, seed: u64) -> Self {
        let mut parameters = SecretKeyParamsBuilder::default();
        parameters
            .key_type(KeyType::Rsa(2048))
            .can_certify(true)
            .can_sign(true)
            .can_encrypt(EncryptionCaps::None)
            .created_at(Timestamp::from_secs(MADE))
            .primary_user_id(user.to_owned());
        let parameters = parameters.build().unwrap();
        let secret = parameters.generate(StdRng::seed_from_u64(seed)).unwrap();
        Self { secret, seed }
    }

    /// The fingerprint to pin.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(&self.secret.fingerprint().to_string()).unwrap()
    }

    /// The key file that a distribution publishes.
    pub fn public(&self) -> String {
        SignedPublicKey::from(self.secret.clone())
            .to_armored_string(ArmorOptions::default())
            .unwrap()
    }

    /// What signs packages.
    pub fn signer(&self) -> rpm::signature::pgp::Signer {
        let armored = self.secret.to_armored_string(ArmorOptions::default()).unwrap();
        rpm::signature::pgp::Signer::from_asc(&armored).unwrap()
    }

    /// A detached, armored signature, as `repomd.xml.asc` is.
    pub fn sign(&self, data: &[u8]) -> String {
        // Dated as everything else, so that the same mirror has the same bytes.
        let key = &self.secret.primary_key;
        let subpacket = |data| Subpacket::regular(data).unwrap();
        let subpackets = SubpacketConfig::UserDefined {
            hashed: vec![
                subpacket(SubpacketData::IssuerFingerprint(key.fingerprint())),
                subpacket(SubpacketData::SignatureCreationTime(Timestamp::from_secs(MADE))),
            ],
            unhashed: vec![subpacket(SubpacketData::IssuerKeyId(key.legacy_key_id()))],
        };
        let signature = DetachedSignature::sign_binary_data_with_subpackets(
            StdRng::seed_from_u64(self.seed),
            key,
            &Password::empty(),
            HashAlgorithm::Sha256,
            data,
            subpackets,
        );
        signature.unwrap().to_armored_string(ArmorOptions::default()).unwrap()
    }
}
