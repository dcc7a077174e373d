//! How others check tokens: the issuer's discovery document and keys.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::Tokens;
use crate::endpoints::{Connector, Endpoints};
use crate::error::{Error, Result};
use crate::pipeline::{Exchange, Response};
use crate::respond;

const KEYS: HeaderValue = HeaderValue::from_static("application/jwk-set+json");
/// Clients look again after an hour; keys change seldom.
const CACHING: HeaderValue = HeaderValue::from_static("public, max-age=3600");

impl Tokens {
    /// Adds the documents for an API server that others reach at `server`: `https://10.0.0.1:6443`.
    #[must_use]
    pub fn discovery(&self, endpoints: Endpoints, server: &str) -> Endpoints {
        let configuration = json!({
            "issuer": self.issuer(),
            "jwks_uri": format!("{}/openid/v1/jwks", server.trim_end_matches('/')),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let keys = json!({ "keys": [self.key().jwk()] });
        let document = |value: serde_json::Value, media| Document { body: value.to_string().into(), media };
        endpoints
            .path("/.well-known/openid-configuration", document(configuration, respond::JSON))
            .path("/openid/v1/jwks", document(keys, KEYS))
    }
}

/// A document that does not change.
struct Document {
    body: Bytes,
    media: HeaderValue,
}

#[async_trait]
impl Connector for Document {
    async fn connect(&self, exchange: Exchange) -> Result<Response> {
        if exchange.parts.method != Method::GET {
            return Err(Error::method_not_allowed());
        }
        let mut response = respond::full(StatusCode::OK, self.media.clone(), self.body.clone());
        response.headers_mut().insert(header::CACHE_CONTROL, CACHING);
        Ok(response)
    }
}
