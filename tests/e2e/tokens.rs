//! An issuer of JSON Web Tokens, with a key of its own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

pub struct Issuer {
    pub name: &'static str,
    key: EcdsaKeyPair,
}

impl Issuer {
    pub fn new(name: &'static str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
        Self { name, key }
    }

    /// Its public key, as a set.
    pub fn keys(&self) -> Value {
        // A point that is not compressed: 4, x, y.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(x), "y": text(y)}]})
    }

    /// The value of `access` for its tokens, as YAML takes it.
    pub fn access(&self, audience: &str, header: Option<&str>) -> String {
        let mut jwt = json!({"issuer": self.name, "audiences": [audience], "jwks": self.keys()});
        if let Some(header) = header {
            jwt["header"] = json!(header);
        }
        json!({"jwt": jwt}).to_string()
    }

    /// A token that is valid for that many seconds from now.
    pub fn token(&self, audience: &str, seconds: i64) -> String {
        let expires = Timestamp::now().as_second() + seconds;
        let claims = json!({"iss": self.name, "sub": "line-3", "aud": audience, "exp": expires});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    pub fn bearer(&self, audience: &str) -> String {
        format!("Bearer {}", self.token(audience, 3600))
    }
}
