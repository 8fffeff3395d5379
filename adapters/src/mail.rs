//! Mail as files in the data folder, for an installation that has no mail server.
//!
//! `mail/<person>/<message id>.eml`, readable by its owner only: a mail may hold a token. A folder
//! per person, so that forgetting one removes their mail whole.

use std::path::{Path, PathBuf};

use annals_commands::ports::mail::{Mail, MailError, Mailer};
use async_trait::async_trait;
use tokio::{fs, io::AsyncWriteExt};

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
}

#[async_trait]
impl Mailer for MailFolder {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let folder = self.of(&mail.person);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).await?;
        let partial = folder.join(format!(".{}.partial", mail.message_id));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial).await?;
        file.write_all(rendered(mail).as_bytes()).await?;
        file.sync_all().await?;
        // Whole or not at all, and the same name in every attempt.
        fs::rename(&partial, folder.join(format!("{}.eml", mail.message_id))).await?;
        Ok(())
    }

    async fn forget(&self, person: &str) -> Result<(), MailError> {
        match fs::remove_dir_all(self.of(person)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// RFC 5322. Subjects are ours and ASCII; an address has no line breaks (it was parsed).
fn rendered(mail: &Mail) -> String {
    let text = mail.text.replace('\n', "\r\n");
    format!(
        "Message-ID: <{}@annals>\r\nDate: {}\r\nFrom: Annals <annals@localhost>\r\nTo: <{}>\r\nSubject: {}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{text}",
        mail.message_id,
        mail.at.to_rfc2822(),
        mail.to.as_str(),
        mail.subject,
    )
}

#[cfg(test)]
mod tests {
    use annals_domain::kernel::EmailAddress;
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn mail(person: &str) -> Mail {
        Mail {
            message_id: Uuid::from_u128(7),
            person: person.to_string(),
            to: EmailAddress::parse("ada@example.org").expect("is an address"),
            subject: "Hello".to_string(),
            text: "line\nline\n".to_string(),
            at: DateTime::from_timestamp(1_800_000_000, 0).expect("is a time"),
        }
    }

    #[tokio::test]
    async fn a_mail_is_one_file_however_often_it_is_sent_and_goes_with_its_person() {
        let data = tempfile::tempdir().expect("a folder");
        let mailer = MailFolder::new(data.path().join("mail"));
        mailer.send(&mail("user:1")).await.expect("is written");
        mailer.send(&mail("user:1")).await.expect("is written again");
        mailer.send(&mail("user:2")).await.expect("is written");
        let files: Vec<_> = std::fs::read_dir(mailer.of("user:1")).expect("is there").collect();
        assert_eq!(files.len(), 1);
        let text = std::fs::read_to_string(files[0].as_ref().expect("reads").path()).expect("reads");
        assert!(
            text.contains("To: <ada@example.org>\r\n") && text.ends_with("\r\n\r\nline\r\nline\r\n"),
            "{text}"
        );
        mailer.forget("user:1").await.expect("is removed");
        mailer.forget("user:1").await.expect("nothing is left to remove");
        assert!(!mailer.of("user:1").exists() && mailer.of("user:2").exists());
    }
}
