//! Who the ends of a flow are, as far as what they say to each other tells: of the protocols that exist for something else.

use super::sighting::Identified;
use crate::inspect::identity::ntlm;
use crate::inspect::{
    Certificate, HttpRequest, IdentityFact, IdentitySource, Observation, Statement, Subject, read_ssh, read_user_agent,
};
use crate::matching::Place;
use crate::matching::private_address::is_private;

/// Fields of a request in which a client proves who it is.
const CREDENTIALS: [&[u8]; 2] = [b"authorization:", b"proxy-authorization:"];

/// Takes what an observation tells of the machines at both ends.
pub fn identify(observation: &Observation<'_>, place: &Place<'_>, mut emit: impl FnMut(Identified)) {
    let flow = place.flow;
    let mut tell = |statement: Statement<'_>| {
        if let Some(said) = Identified::of(&statement, (flow.client, flow.server), flow.zone, flow.client_mac) {
            emit(said);
        }
    };
    match observation {
        Observation::HttpRequest(request) if is_private(flow.client) && !place.passed_on => {
            // A client says the same in each request.
            if !place.named
                && let Some(agent) = request.user_agent
            {
                read_user_agent(agent, &mut tell);
            }
            if is_private(flow.server) {
                credentials(request).for_each(|value| ntlm::read_http_field(value, &mut tell));
            }
        }
        // Behind a proxy somebody else answers, and before one somebody else asks.
        Observation::TlsCertificate(certificate) if is_private(flow.server) && !place.proxied => {
            own_name(certificate, &mut tell);
        }
        Observation::SshGreeting(greeting) if is_private(flow.server) && !place.proxied => {
            read_ssh(greeting, &mut |statement| tell(statement.turned()));
        }
        Observation::Statement(statement) => {
            let is_other = match statement.about {
                Subject::Sender => place.passed_on,
                Subject::Receiver => place.proxied,
                _ => false,
            };
            if !is_other {
                tell(**statement);
            }
        }
        _ => {}
    }
}

/// Values of the fields in which the client proves who it is.
fn credentials<'a>(request: &HttpRequest<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    request.head.split(|&byte| byte == b'\n').filter_map(|line| {
        CREDENTIALS.iter().find_map(|name| {
            let (field, value) = line.split_at_checked(name.len())?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    })
}

/// The first name of a server's certificate that is no pattern.
fn own_name(certificate: &Certificate<'_>, tell: &mut impl FnMut(Statement<'_>)) {
    if let Some(name) = certificate.names().find(|name| !name.contains('*')) {
        let fact = IdentityFact::HostName(&name);
        tell(Statement { about: Subject::Receiver, source: IdentitySource::TlsCertificate, fact });
    }
}
