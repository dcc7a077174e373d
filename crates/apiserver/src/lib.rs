//! The API server: request pipeline, authentication, authorization, admission, generic registry, watch cache.
