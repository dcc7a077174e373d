//! How a pod's names are resolved.

use object::field::{Error, ErrorList};
use object::names;

use super::super::field::{At, plain_ip, well_formed};

const MAX_SERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
/// The longest search list, in bytes with the spaces between.
const MAX_SEARCH_LIST: usize = 2048;

/// What `dnsPolicy: None` needs, and what every resolver configuration must keep to.
pub(super) fn validate(spec: &At<'_>, errors: &mut ErrorList) {
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if spec.at("dnsPolicy").text() == "None" {
        let missing = if !config.is_set() {
            config.required("must provide `dnsConfig` when `dnsPolicy` is None")
        } else if servers.is_empty() {
            servers.required("must provide at least one DNS nameserver when `dnsPolicy` is None")
        } else {
            return resolver(&config, errors);
        };
        errors.push(missing);
        return;
    }
    resolver(&config, errors);
}

fn resolver(config: &At<'_>, errors: &mut ErrorList) {
    let servers = config.at("nameservers");
    if servers.items().count() > MAX_SERVERS {
        errors.push(servers.invalid(format!("must not have more than {MAX_SERVERS} nameservers")));
    }
    servers.items().for_each(|server| plain_ip(&server, &[], errors));
    searches(&config.at("searches"), errors);
    let unnamed = config.at("options").items().filter(|option| option.at("name").is_empty());
    errors.extend(unnamed.map(|option| option.required("must not be empty")));
}

fn searches(list: &At<'_>, errors: &mut ErrorList) {
    let count = list.items().count();
    let length: usize = list.items().map(|search| search.text().len() + 1).sum();
    if count > MAX_SEARCHES {
        errors.push(list.invalid(format!("must not have more than {MAX_SEARCHES} search paths")));
    }
    if length > MAX_SEARCH_LIST + 1 {
        let detail =
            format!("must not have more than {MAX_SEARCH_LIST} characters (including spaces) in the search list");
        errors.push(list.invalid(detail));
    }
    for search in list.items().filter(|search| search.text() != ".") {
        let name = search.text().strip_suffix('.').unwrap_or_else(|| search.text());
        let messages = names::dns1123_subdomain_with_underscore(name);
        errors.extend(messages.into_iter().map(|message| Error::invalid(&search.path, name, message)));
    }
}

/// Names and addresses for `/etc/hosts`.
pub(super) fn host_aliases(list: &At<'_>, errors: &mut ErrorList) {
    for alias in list.items() {
        plain_ip(&alias.at("ip"), &[], errors);
        alias.at("hostnames").items().for_each(|name| well_formed(&name, names::dns1123_subdomain, errors));
    }
}
