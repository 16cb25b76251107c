//! Versions in retrieval: passages of a document whose name a newer one has go behind those of the newer one.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use crate::{
    db::TenantTx,
    llm::{DocumentVersion, Passage},
};

/// Least score of the newest version's best passage, relative to an older version's passage, for which the older one is
/// left out. Versions mostly repeat each other in equal words; with a lower score, the newest one does not cover the
/// question.
const MIN_RELATIVE_SCORE: f64 = 0.35;

/// Place of a document among those of its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The newest searched document of the name.
    newest: Uuid,
    version: DocumentVersion,
}

/// Versions of the searched documents, by document. A document without another of its name has no entry.
#[derive(Debug, Default)]
pub(super) struct Versions(HashMap<Uuid, Place>);

impl Versions {
    /// Reads the versions of these documents. `searched` are the documents that the question is limited to.
    ///
    /// # Errors
    /// Fails when the statement fails.
    pub(super) async fn of(tx: &mut TenantTx, documents: &[Uuid], searched: Option<&[Uuid]>) -> sqlx::Result<Self> {
        let rows = sqlx::query!(
            r#"
            select document.id, newest.id as newest, document.upload_date at time zone tenant.timezone as "uploaded!",
                exists (
                    select from documents other
                    where other.customer_id = $1 and other.name_key = document.name_key and other.status = 'processed'
                      and other.id <> document.id
                      and (other.upload_date at time zone tenant.timezone)::date
                          = (document.upload_date at time zone tenant.timezone)::date
                ) as "shares_day!"
            from documents document
            join customers tenant on tenant.id = document.customer_id
            cross join lateral (
                select other.id from documents other
                where other.customer_id = $1 and other.name_key = document.name_key and other.status = 'processed'
                  and ($3::uuid[] is null or other.id = any ($3))
                order by other.upload_date desc, other.id desc
                limit 1
            ) newest
            where document.customer_id = $1 and document.id = any ($2)
              and exists (
                  select from documents other
                  where other.customer_id = $1 and other.name_key = document.name_key and other.status = 'processed'
                    and other.id <> document.id
              )
            "#,
            tx.tenant(),
            documents,
            searched
        )
        .fetch_all(tx)
        .await?;
        let places = rows.into_iter().map(|row| {
            let version = DocumentVersion { uploaded: row.uploaded, shares_day: row.shares_day };
            (row.id, Place { newest: row.newest, version })
        });
        Ok(Self(places.collect()))
    }

    /// Returns the newest versions of which no document in `found` is one.
    pub(super) fn missing(&self, found: &[Uuid]) -> Vec<Uuid> {
        let missing: HashSet<_> = self.0.values().map(|place| place.newest).filter(|id| !found.contains(id)).collect();
        missing.into_iter().collect()
    }

    /// Adds what is known of other documents.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Leaves out the passages of older versions where the newest one has a passage that matches about as well. Others
    /// follow the best passage of the newest version. `ordered` has the best first.
    pub(super) fn newest_first(&self, ordered: Vec<Passage>) -> Vec<Passage> {
        if self.0.is_empty() {
            return ordered;
        }
        let mut best: HashMap<Uuid, f64> = HashMap::new();
        for passage in &ordered {
            if self.0.get(&passage.document_id).is_some_and(|place| place.newest == passage.document_id) {
                best.entry(passage.document_id).or_insert(passage.score);
            }
        }
        let mut kept: Vec<Passage> = Vec::with_capacity(ordered.len());
        let mut delayed: HashMap<Uuid, Vec<Passage>> = HashMap::new();
        for mut passage in ordered {
            let Some(place) = self.0.get(&passage.document_id) else {
                kept.push(passage);
                continue;
            };
            passage.version = Some(place.version);
            if place.newest == passage.document_id {
                let waiting = delayed.remove(&passage.document_id).unwrap_or_default();
                // In front of the older passages that it overtakes, with their score.
                passage.score = waiting.iter().map(|older| older.score).fold(passage.score, f64::max);
                kept.push(passage);
                kept.extend(waiting);
                continue;
            }
            match best.get(&place.newest) {
                Some(newest) if *newest >= MIN_RELATIVE_SCORE * passage.score => {}
                Some(newest)
                    if *newest < passage.score && !kept.iter().any(|other| other.document_id == place.newest) =>
                {
                    delayed.entry(place.newest).or_default().push(passage);
                }
                _ => kept.push(passage),
            }
        }
        kept.sort_by(|left, right| right.score.total_cmp(&left.score));
        kept
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    fn passage(document: u128, chunk: u128, score: f64) -> Passage {
        Passage {
            chunk_id: Uuid::from_u128(chunk),
            document_id: Uuid::from_u128(document),
            filename: "tarifs.pdf".to_owned(),
            version: None,
            title: None,
            place: None,
            page_start: 1,
            page_end: 1,
            chunk_indexes: 0..=0,
            text: String::new(),
            score,
        }
    }

    /// Documents 1 and 2 have one name, and 2 is newer.
    fn versions() -> Versions {
        let uploaded = NaiveDate::from_ymd_opt(2026, 11, 29).unwrap().and_hms_opt(8, 0, 0).unwrap();
        let version = DocumentVersion { uploaded, shares_day: false };
        let place = Place { newest: Uuid::from_u128(2), version };
        Versions([(Uuid::from_u128(1), place), (Uuid::from_u128(2), place)].into())
    }

    fn ordered(passages: Vec<Passage>) -> Vec<(u128, bool)> {
        let ordered = versions().newest_first(passages);
        ordered.iter().map(|passage| (passage.chunk_id.as_u128(), passage.version.is_some())).collect()
    }

    #[test]
    fn an_older_version_is_left_out_where_the_newest_matches_about_as_well() {
        let passages = vec![passage(1, 10, 2.5), passage(3, 30, 2.0), passage(2, 20, 1.0), passage(1, 11, 0.5)];
        assert_eq!(ordered(passages), [(30, false), (20, true)]);
    }

    #[test]
    fn an_older_version_follows_the_newest_where_only_the_older_one_matches() {
        let passages = vec![passage(1, 10, 2.5), passage(3, 30, 2.0), passage(2, 20, 0.5), passage(1, 11, 0.4)];
        assert_eq!(ordered(passages), [(20, true), (10, true), (30, false)]);
        assert_eq!(ordered(vec![passage(1, 10, 2.5)]), [(10, true)]);
    }

    #[test]
    fn a_newest_version_without_a_passage_is_missing() {
        let (older, newest) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(versions().missing(&[older]), [newest]);
        assert!(versions().missing(&[older, newest]).is_empty());
    }
}
