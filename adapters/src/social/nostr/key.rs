//! A key pair as BIP-340 uses it, in the forms that people and relays know (NIP-01, NIP-19).

use bech32::{Bech32, Hrp, primitives::decode::CheckedHrpstring};
use k256::schnorr::{Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashVerifier};

/// No `Debug`: it never goes into a log. What it holds is wiped when it is dropped.
pub(super) struct Key(SigningKey);

impl Key {
    /// `nsec1…` or 64 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = match hex::decode(text) {
            Ok(bytes) => bytes,
            Err(_) => decoded("nsec", text)?,
        };
        SigningKey::from_bytes(&bytes).ok().map(Self)
    }

    /// 64 hexadecimal digits, to be sealed.
    pub(super) fn to_hex(&self) -> String {
        hex::encode(self.0.to_bytes())
    }

    /// The x coordinate, in hexadecimal digits: who this is on Nostr.
    pub(super) fn public_key(&self) -> String {
        hex::encode(self.0.verifying_key().to_bytes())
    }

    pub(super) fn npub(&self) -> String {
        encoded("npub", &self.0.verifying_key().to_bytes())
    }

    /// The same for the same id: BIP-340 allows the randomness to be left out.
    pub(super) fn sign(&self, id: &[u8; 32]) -> String {
        let signature = self.0.sign_prehash_with_aux_rand(id, &[0; 32]);
        hex::encode(signature.expect("a valid key signs 32 bytes").to_bytes())
    }
}

/// Whether the signature of an event's id is that of its author; all three in hexadecimal digits.
pub(super) fn is_signed_by(public_key: &str, id: &str, signature: &str) -> bool {
    let verified = || {
        let key = VerifyingKey::from_bytes(&hex::decode(public_key).ok()?).ok()?;
        let signature = Signature::try_from(hex::decode(signature).ok()?.as_slice()).ok()?;
        let id: [u8; 32] = hex::decode(id).ok()?.try_into().ok()?;
        key.verify_prehash(&id, &signature).ok()
    };
    verified().is_some()
}

/// `note1…` of an event's id.
pub(super) fn note(id: &str) -> Option<String> {
    hex::decode(id).ok().filter(|bytes| bytes.len() == 32).map(|bytes| encoded("note", &bytes))
}

fn encoded(prefix: &str, bytes: &[u8]) -> String {
    let prefix = Hrp::parse(prefix).expect("a prefix of NIP-19");
    bech32::encode::<Bech32>(prefix, bytes).expect("32 bytes are short enough")
}

fn decoded(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let checked = CheckedHrpstring::new::<Bech32>(text).ok()?;
    let is_meant = checked.hrp() == Hrp::parse(prefix).ok()?;
    is_meant.then(|| checked.byte_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of NIP-19.
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    const NSEC_HEX: &str = "67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa";

    #[test]
    fn a_private_key_is_read_in_both_forms() {
        let key = Key::parse(&format!(" {NSEC} ")).expect("NIP-19's own example");
        assert_eq!(key.public_key(), "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e");
        assert_eq!(key.npub(), "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg");
        let same = Key::parse(NSEC_HEX).expect("the same in hexadecimal digits");
        assert_eq!(same.public_key(), key.public_key());
        for text in [
            "",
            "nsec1",
            "npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg",
            &NSEC.replace("vl0", "vl9"),
            &NSEC_HEX[..62],
            &"0".repeat(64),
            &"f".repeat(64),
        ] {
            assert!(Key::parse(text).is_none(), "{text}");
        }
    }

    /// Vector 1 of BIP-340 has other randomness than ours, and vector 0 has ours: none.
    #[test]
    fn signs_and_verifies_as_bip_340_says() {
        let key = Key::parse(&format!("{:064x}", 3)).expect("a key");
        assert_eq!(
            key.public_key().to_uppercase(),
            "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9"
        );
        let signature = key.sign(&[0; 32]);
        assert_eq!(
            signature.to_uppercase(),
            "E907831F80848D1069A5371B402410364BDF1C5F8307B0084C55F1CE2DCA821525F66A4A85EA8B71E482A74F382D2CE5\
             EBEEE8FDB2172F477DF4900D310536C0"
        );
        let id = "0".repeat(64);
        assert!(is_signed_by(&key.public_key(), &id, &signature));
        assert!(!is_signed_by(&key.public_key(), &"1".repeat(64), &signature));
        assert!(!is_signed_by(&key.public_key(), &id, &"0".repeat(128)));
        assert!(!is_signed_by("not hexadecimal", &id, &signature));
        assert!(is_signed_by(
            "DFF1D77F2A671C5F36183726DB2341BE58FEAE1DA2DECED843240F7B502BA659",
            "243F6A8885A308D313198A2E03707344A4093822299F31D0082EFA98EC4E6C89",
            "6896BD60EEAE296DB48A229FF71DFE071BDE413E6D43F917DC8DCF8C78DE33418906D11AC976ABCCB20B091292BFF4EA\
             897EFCB639EA871CFA95F6DE339E4B0A",
        ));
    }

    #[test]
    fn a_notes_id_is_written_as_nip_19_says() {
        let id = "0".repeat(64);
        let written = note(&id).expect("32 bytes");
        assert!(written.starts_with("note1qqqqqqqq"), "{written}");
        assert_eq!(decoded("note", &written), Some(vec![0; 32]));
        assert_eq!(note("00"), None);
    }
}
