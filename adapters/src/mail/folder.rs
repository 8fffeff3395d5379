//! Mail as files in the data folder, for an installation that has no mail server.
//!
//! `mail/<person>/<message id>.eml`, readable by its owner only: a mail may hold a token. A folder
//! per person, so that forgetting one removes their mail whole.

use std::{
    io,
    path::{Path, PathBuf},
};

use annals_commands::ports::mail::{Mail, MailError};
use tokio::{fs, io::AsyncWriteExt};

use super::message::{Encoding, Sender, message};

/// Writes mail into a folder.
#[derive(Clone, Debug)]
pub struct MailFolder {
    folder: PathBuf,
}

impl MailFolder {
    /// `folder` is made with the first mail.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn of(&self, person: &str) -> PathBuf {
        // A folder's name, whatever the person's id is made of.
        let name: String =
            person.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(100).collect();
        self.folder.join(name)
    }

    /// One file, however often it is written.
    pub(super) async fn write(&self, mail: &Mail, sender: &Sender) -> Result<(), MailError> {
        let message = message(mail, sender, Encoding::Readable)?.formatted();
        let written = self.put(mail, &message).await;
        // Whole or not at all: a failure means that it is not there.
        written.map_err(|error| MailError::NotSent {
            reason: format!("the mail could not be written to the data folder: {}", error.kind()),
            not_before: None,
        })
    }

    async fn put(&self, mail: &Mail, message: &[u8]) -> io::Result<()> {
        let folder = self.of(&mail.person);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).await?;
        let partial = folder.join(format!(".{}.partial", mail.message_id));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).await?;
        file.write_all(message).await?;
        file.sync_all().await?;
        fs::rename(&partial, folder.join(format!("{}.eml", mail.message_id))).await
    }

    pub(super) async fn forget(&self, person: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.of(person)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use annals_commands::ports::mail::{Letter, Unsubscribe};
    use annals_domain::kernel::EmailAddress;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn mail(person: &str) -> Mail {
        let link = "https://annals.example.org/console/verify-email#token=ev_1".parse().expect("is a URL");
        Mail {
            message_id: Uuid::from_u128(7),
            person: person.to_string(),
            to: EmailAddress::parse("ada@example.org").expect("is an address"),
            letter: Letter::Welcome { name: "Ada Lövelace".to_string(), link, until: "Friday".to_string() },
            unsubscribe: Some(Unsubscribe {
                page: "https://annals.example.org/console/unsubscribe#token=un_1".parse().expect("is a URL"),
                one_click: "https://annals.example.org/api/v1/notifications/unsubscribe/un_1"
                    .parse()
                    .expect("is a URL"),
            }),
            at: DateTime::from_timestamp(1_800_000_000, 0).expect("is a time"),
        }
    }

    #[tokio::test]
    async fn a_mail_is_one_file_however_often_it_is_sent_and_goes_with_its_person() {
        let data = tempfile::tempdir().expect("a folder");
        let mailer = MailFolder::new(data.path().join("mail"));
        let sender: Sender = "Annals <annals@example.org>".parse().expect("is a sender");
        mailer.write(&mail("user:1"), &sender).await.expect("is written");
        mailer.write(&mail("user:1"), &sender).await.expect("is written again");
        mailer.write(&mail("user:2"), &sender).await.expect("is written");
        let files: Vec<_> = std::fs::read_dir(mailer.of("user:1")).expect("is there").collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].as_ref().expect("reads").path()).expect("reads");
        for line in [
            "Message-ID: <00000000-0000-0000-0000-000000000007@example.org>\r\n",
            "From: Annals <annals@example.org>\r\n",
            "To: ada@example.org\r\n",
            "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n",
            "List-Unsubscribe: <https://annals.example.org/api/v1/notifications/unsubscribe/un_1>\r\n",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
            "Hello Ada Lövelace,\r\n",
            "\r\nhttps://annals.example.org/console/verify-email#token=ev_1\r\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        mailer.forget("user:1").await.expect("is removed");
        mailer.forget("user:1").await.expect("nothing is left to remove");
        assert!(!mailer.of("user:1").exists() && mailer.of("user:2").exists());
    }
}
