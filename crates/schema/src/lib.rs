//! The resource table and the field facts, and everything derived from them: codecs, defaulting, conversion, discovery, OpenAPI, table columns.
