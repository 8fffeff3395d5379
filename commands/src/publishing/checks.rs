//! Trying what a command would do: the same decisions, and nothing written.

use std::sync::Arc;

use annals_domain::{
    Refusal,
    kernel::PostId,
    publishing::{InvalidField, PostCommand},
};

use super::{
    Posts,
    media::attach,
    months::planning,
    posts::{Member, PostRequest, compose, create_tags, own_post},
};
use crate::bus::{CommandError, Context, Work};

impl Posts {
    /// Whether each of these could be written now: what is wrong with it, or nothing.
    ///
    /// # Errors
    /// The bus's own; what is wrong with a request is no error.
    pub async fn check_each(
        &self,
        context: &Context,
        member: Member,
        requests: Vec<Result<PostRequest, Vec<InvalidField>>>,
    ) -> Result<Vec<Vec<InvalidField>>, CommandError> {
        let (requests, platforms) = (Arc::new(requests), self.platforms.clone());
        let outcome = self
            .bus
            .transact(&tried(context), "CheckPosts", move |work| {
                let (requests, platforms) = (Arc::clone(&requests), platforms.clone());
                Box::pin(async move {
                    let mut all = Vec::with_capacity(requests.len());
                    for request in requests.iter() {
                        let problems = match request {
                            Err(problems) => problems.clone(),
                            Ok(request) => {
                                let id = PostId::new(work.new_id());
                                told(written(work, &platforms, member, id, request).await)?
                            }
                        };
                        // One that failed half-way leaves nothing to the next one either.
                        work.discard();
                        all.push(problems);
                    }
                    Ok(all)
                })
            })
            .await?;
        Ok(outcome.value.unwrap_or_default())
    }

    /// Whether a draft or scheduled post could be changed so now: what is wrong with it, or nothing.
    ///
    /// # Errors
    /// If there is no such post, it is not the member's, is no more to be changed; or the bus's own.
    pub async fn check_revision(
        &self,
        context: &Context,
        member: Member,
        id: PostId,
        request: PostRequest,
    ) -> Result<Vec<InvalidField>, CommandError> {
        let (request, platforms) = (Arc::new(request), self.platforms.clone());
        let outcome = self
            .bus
            .transact(&tried(context), "CheckRevision", move |work| {
                let (request, platforms) = (Arc::clone(&request), platforms.clone());
                Box::pin(async move {
                    let before = own_post(work, member, id).await?.composition().assets();
                    let problems = match compose(work, &platforms, member, &request).await {
                        Err(error) => told(Err(error))?,
                        Ok((composition, _)) => {
                            let shown = composition.clone();
                            let plan = request.plan.clone();
                            let command = PostCommand::Revise { composition, plan, now: work.now() };
                            let revised = match planning(work, id, command).await {
                                Ok(()) => attach(work, member.organization, id, &before, &shown).await,
                                Err(error) => Err(error),
                            };
                            told(revised)?
                        }
                    };
                    work.discard();
                    Ok(problems)
                })
            })
            .await?;
        Ok(outcome.value.unwrap_or_default())
    }
}

/// Writes a post, as [`Posts::create`] does.
pub(super) async fn written(
    work: &mut Work,
    platforms: &crate::ports::social::Platforms,
    member: Member,
    id: PostId,
    request: &PostRequest,
) -> Result<(), CommandError> {
    let (composition, new_tags) = compose(work, platforms, member, request).await?;
    let shown = composition.clone();
    let command = PostCommand::Create {
        organization: member.organization,
        author: member.user,
        composition,
        plan: request.plan.clone(),
        occurrence: None,
        now: work.now(),
    };
    planning(work, id, command).await?;
    attach(work, member.organization, id, &[], &shown).await?;
    create_tags(work, member.organization, new_tags).await
}

/// A refusal of the input is what was asked for, and no error.
fn told(tried: Result<(), CommandError>) -> Result<Vec<InvalidField>, CommandError> {
    match tried {
        Ok(()) => Ok(Vec::new()),
        Err(CommandError::Refused(refusal)) if !refusal.fields().is_empty() => Ok(fields(&*refusal)),
        Err(error) => Err(error),
    }
}

/// What a refusal says of the input, by its fields.
pub(super) fn fields(refusal: &dyn Refusal) -> Vec<InvalidField> {
    let mut fields = refusal.fields();
    if fields.is_empty() {
        fields.push(("post".to_string(), refusal.to_string()));
    }
    fields.into_iter().map(|(field, why)| InvalidField::new(field, why)).collect()
}

/// A try has no key: it has no effect to have once.
fn tried(context: &Context) -> Context {
    Context { idempotency: None, ..context.clone() }
}
