//! Which path and method is which call.

use crate::calls;
use crate::refusal::Refusal;
use crate::spec::{Spec, Verb};
use http::Method;

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident = $spec:path;)*) => {
        /// Every call that is served.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Call {
            $($(#[$doc])* $name,)*
        }

        impl Call {
            /// Every call, in the order of the documentation.
            pub const ALL: &'static [Call] = &[$(Call::$name,)*];

            /// What the call is.
            pub fn spec(self) -> &'static Spec {
                match self { $(Call::$name => &$spec,)* }
            }
        }
    };
}

calls! {
    /// `POST /v1/accounts`.
    CreateAccount = calls::create_account::SPEC;
    /// `GET /v1/accounts`.
    ListAccounts = calls::list_accounts::SPEC;
    /// `GET /v1/accounts/{id}`.
    GetAccount = calls::get_account::SPEC;
    /// `GET /v1/accounts/{id}/transactions`.
    ListTransactions = calls::list_transactions::SPEC;
    /// `GET /v1/accounts/{id}/transfers`.
    ListOpenTransfers = calls::list_open_transfers::SPEC;
    /// `POST /v1/transfers`.
    CreateTransfer = calls::create_transfer::SPEC;
    /// `POST /v1/transfers/{id}/commit`.
    CommitTransfer = calls::commit_transfer::SPEC;
    /// `POST /v1/transfers/{id}/release`.
    ReleaseTransfer = calls::release_transfer::SPEC;
    /// `GET /v1/transfers/{id}`.
    GetTransfer = calls::get_transfer::SPEC;
    /// `GET /v1/currencies`.
    ListCurrencies = calls::currencies::SPEC;
    /// `POST /v1/admin/deposits`.
    Deposit = calls::deposit::SPEC;
    /// `POST /v1/admin/withdrawals`.
    Withdraw = calls::withdraw::SPEC;
    /// `POST /v1/admin/accounts/{id}/freeze`.
    Freeze = calls::set_status::FREEZE;
    /// `POST /v1/admin/accounts/{id}/unfreeze`.
    Unfreeze = calls::set_status::UNFREEZE;
    /// `POST /v1/admin/accounts/{id}/close`.
    Close = calls::set_status::CLOSE;
    /// `GET /v1/admin/topology`.
    GetTopology = calls::topology::SPEC;
    /// `GET /openapi.json`.
    OpenApi = calls::openapi::SPEC;
    /// `GET /docs`.
    Docs = calls::docs::SPEC;
}

impl Call {
    /// Its place in [`Call::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The calls of one path.
#[derive(Debug, Clone, Copy, Default)]
struct Methods {
    get: Option<Call>,
    post: Option<Call>,
}

impl Methods {
    fn allow(self) -> &'static str {
        match (self.get, self.post) {
            (Some(_), Some(_)) => "GET, HEAD, POST",
            (Some(_), None) => "GET, HEAD",
            (None, _) => "POST",
        }
    }
}

/// The paths of all calls.
#[derive(Debug, Clone)]
pub struct Routes(matchit::Router<Methods>);

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// The paths of [`Call::ALL`].
    ///
    /// # Panics
    /// Two paths of the specs contradict each other: a defect that every test finds.
    pub fn new() -> Self {
        let mut by_path: Vec<(&'static str, Methods)> = Vec::new();
        for call in Call::ALL {
            let spec = call.spec();
            let at = by_path.iter().position(|(path, _)| *path == spec.path).unwrap_or_else(|| {
                by_path.push((spec.path, Methods::default()));
                by_path.len() - 1
            });
            match spec.method {
                Verb::Get => by_path[at].1.get = Some(*call),
                Verb::Post => by_path[at].1.post = Some(*call),
            }
        }
        let mut routes = matchit::Router::new();
        for (path, methods) in by_path {
            routes.insert(path, methods).expect("the paths are constants, and a test builds this table");
        }
        Self(routes)
    }

    /// The call of a method and path, and the `{id}` of the path (empty if it has none).
    ///
    /// # Errors
    /// [`wire::api::ErrorCode::NotFound`], [`wire::api::ErrorCode::MethodNotAllowed`].
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Result<(Call, &'p str), Box<Refusal>> {
        let found = self.0.at(path).map_err(|_| Refusal::not_found())?;
        let methods = *found.value;
        let call = match *method {
            Method::GET | Method::HEAD => methods.get,
            Method::POST => methods.post,
            _ => None,
        };
        let call = call.ok_or_else(|| Refusal::method_not_allowed(methods.allow()))?;
        Ok((call, found.params.get("id").unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::api::ErrorCode;

    #[test]
    fn every_call_is_found_by_its_own_path() {
        let routes = Routes::new();
        for (index, call) in Call::ALL.iter().enumerate() {
            let spec = call.spec();
            let method = match spec.method {
                Verb::Get => Method::GET,
                Verb::Post => Method::POST,
            };
            let path = spec.path.replace("{id}", "42");
            let expected_id = if spec.path.contains("{id}") { "42" } else { "" };
            assert_eq!(routes.find(&method, &path).ok(), Some((*call, expected_id)));
            assert_eq!(call.index(), index);
        }
    }

    #[test]
    fn other_methods_are_told_what_is_allowed() {
        let routes = Routes::new();
        let allow = |method, path| routes.find(&method, path).expect_err("not allowed").allow;
        assert_eq!(allow(Method::DELETE, "/v1/accounts"), Some("GET, HEAD, POST"));
        assert_eq!(allow(Method::OPTIONS, "/v1/accounts/1"), Some("GET, HEAD"));
        assert_eq!(allow(Method::GET, "/v1/transfers"), Some("POST"));
        assert_eq!(allow(Method::HEAD, "/v1/admin/deposits"), Some("POST"));
    }

    #[test]
    fn other_paths_are_not_found() {
        let routes = Routes::new();
        let absent = [
            "",
            "/",
            "*",
            "/v1",
            "/v1/",
            "/v1/accounts/",
            "//v1/accounts",
            "/v1/accounts/1/",
            "/v1/accounts/1/2",
            "/v1/%61ccounts",
            "/V1/accounts",
            "/v1/transfers/1/commits",
            "/v1/transfers/1/releases",
            "/v1/accounts/../currencies",
        ];
        for path in absent {
            let refusal = routes.find(&Method::POST, path).expect_err(path);
            assert_eq!(refusal.code, ErrorCode::NotFound, "{path}");
        }
    }
}
