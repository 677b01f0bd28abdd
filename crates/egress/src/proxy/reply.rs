//! What a program is told over HTTP when there is no connection for it.

use super::Guest;
use super::door::Shut;
use crate::host::Destination;
use crate::http;
use crate::relay;

/// Says why there is no connection, and what would permit it.
pub(super) fn shut(guest: Guest<'_>, destination: &Destination, shut: &Shut) {
    match shut {
        Shut::Refused(refusal) => {
            let mut said = format!("`{destination}` is not reached from here: {refusal}.");
            if let Some(line) = refusal.permit(destination, &guest.door.rules) {
                said.push_str("\nThe policy of the step would permit it with:\n\n");
                said.push_str(&line);
            }
            http::answer(guest.stream, "403 Forbidden", &said);
        }
        Shut::Failed(reason) => {
            let said = format!("`{destination}` is allowed, but there is no connection: {reason}.");
            http::answer(guest.stream, "502 Bad Gateway", &said);
        }
    }
    relay::close_gently(guest.stream);
}
