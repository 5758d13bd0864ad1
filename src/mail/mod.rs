//! One-time codes by mail: an SMTP client. The only room that imports lettre.
//!
//! What a mail server says may repeat the address that it is about, so only its status goes into errors.

mod options;
mod smtp;

pub use options::{SmtpOptions, SmtpTls, is_sender};
pub use smtp::{MailError, SmtpSender};
