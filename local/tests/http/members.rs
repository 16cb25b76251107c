//! Members of a company: the list, the removal, and the transfer of the ownership.

use futures::future::join_all;
use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};

use super::support::{App, TenantUser, TestResponse, small_pdf};

const MEMBERS: &str = "/api/v1/customers/me/members";
const OWNER: &str = "/api/v1/customers/me/owner";

async fn members(app: &App, owner: &TenantUser) -> Vec<Value> {
    app.get(&format!("{MEMBERS}?sort=created_at")).by(owner).await.data(200).as_array().unwrap().clone()
}

async fn transfer(app: &App, owner: &TenantUser, new: &TenantUser) -> TestResponse {
    app.post(OWNER).by(owner).json(&json!({ "user_id": new.user_id })).await
}

#[tokio::test]
async fn an_owner_sees_the_members_of_the_own_company_only() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    app.sign_up("Chez Koffi").await;
    app.sql(&format!("update profiles set full_name = 'Binta' where id = '{}'", support.user_id)).await;
    let listed = members(&app, &owner).await;
    let expected = [
        json!({ "user_id": owner.user_id, "email": owner.email, "full_name": null, "role": "owner",
            "is_account_owner": true, "created_at": listed[0]["created_at"] }),
        json!({ "user_id": support.user_id, "email": support.email, "full_name": "Binta", "role": "support",
            "is_account_owner": false, "created_at": listed[1]["created_at"] }),
    ];
    assert_eq!(listed, expected);
    app.get(MEMBERS).by(&support).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_removed_member_is_refused_at_once_and_returns_by_nothing_that_it_made() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let invitation = |role: &str| json!({ "role": role });
    let invitations = "/api/v1/customers/me/invitations";
    let raised = app.post(invitations).by(&owner).json(&invitation("owner")).await.data(201);
    let accepted = json!({ "invitation": raised["token"] });
    app.post("/api/v1/auth/invitations").by(&support).json(&accepted).await.data(200);
    let back_door = app.post(invitations).by(&support).json(&invitation("owner")).await.data(201);

    app.delete(&format!("{MEMBERS}/{}", support.user_id)).by(&owner).await.no_content();
    app.get("/api/v1/quota/status").by(&support).await.refused(422, "tenant_required");
    let accepted = json!({ "invitation": back_door["token"] });
    app.post("/api/v1/auth/invitations").by(&support).json(&accepted).await.invalid_fields(&["invitation"]);
    app.delete(&format!("{MEMBERS}/{}", support.user_id)).by(&owner).await.refused(404, "not_found");
    assert_eq!(members(&app, &owner).await.len(), 1);
    let entries = app.audit_actions(&owner).await;
    assert_eq!(entries.last().unwrap(), &format!("member.removed user:{}", support.user_id));
}

#[tokio::test]
async fn the_account_owner_and_members_of_other_companies_are_not_removed() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let theirs = app.sign_up_support(&other).await;
    app.delete(&format!("{MEMBERS}/{}", owner.user_id)).by(&owner).await.refused(409, "account_owner");
    for user in [other.user_id, theirs.user_id] {
        app.delete(&format!("{MEMBERS}/{user}")).by(&owner).await.refused(404, "not_found");
    }
    app.delete(&format!("{MEMBERS}/nobody")).by(&owner).await.refused(404, "not_found");
    assert_eq!(app.number("select count(*) from customer_members").await, 3);
}

#[tokio::test]
async fn of_a_transfer_and_a_removal_at_once_the_company_keeps_its_owner() {
    let app = App::start().await;
    for _ in 0..8 {
        let owner = app.sign_up("Comptoir Baobab").await;
        let support = app.sign_up_support(&owner).await;
        let path = format!("{MEMBERS}/{}", support.user_id);
        let (transferred, removed) =
            futures::join!(transfer(&app, &owner, &support), async { app.delete(&path).by(&owner).await });
        // One of the two came first, and the other saw it.
        assert!((transferred.status == 200) != (removed.status == 204), "{} {}", transferred.status, removed.status);
        let member = format!(
            "select count(*) from customers tenant join customer_members member
                 on member.customer_id = tenant.id and member.user_id = tenant.user_id and member.role = 'owner'
             where tenant.id = '{}'",
            owner.customer_id
        );
        assert_eq!(app.number(&member).await, 1);
    }
}

#[tokio::test]
async fn a_question_under_way_survives_a_transfer_and_counts_once() {
    let groq = FakeModels::start().await.unwrap();
    let url = groq.base_url();
    let settings = [
        ("LLM_PROVIDER", "groq"),
        ("GROQ_API_KEY", "test-key"),
        ("GROQ_MODELS", "small-model"),
        ("GROQ_BASE_URL", &url),
    ];
    let app = App::with_settings(&settings).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    groq.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let used =
        |user: &TenantUser| format!("select free_quota_used from user_settings where user_id = '{}'", user.user_id);
    for (from, to, asked) in [(&owner, &support, 1), (&support, &owner, 2)] {
        groq.hold();
        let meanwhile = async {
            groq.wait_for_held_request().await;
            transfer(&app, from, to).await.data(200);
            groq.release();
        };
        let (answered, ()) = tokio::join!(app.ask(from, "How long does the delivery take?"), meanwhile);
        assert_eq!(answered.data(200)["answered"], true);
        assert_eq!(app.number(&used(to)).await, asked, "the question counts for the owner of now");
    }
    assert_eq!(app.number("select count(*) from reservations where state = 'held'").await, 0);
}

#[tokio::test]
async fn a_former_owner_has_no_invitation_left_to_come_back_by() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let invitations = "/api/v1/customers/me/invitations";
    let back_door = app.post(invitations).by(&owner).json(&json!({ "role": "owner" })).await.data(201);
    transfer(&app, &owner, &support).await.data(200);
    let accepted = json!({ "invitation": back_door["token"] });
    app.post("/api/v1/auth/invitations").by(&owner).json(&accepted).await.invalid_fields(&["invitation"]);
    let roles: Vec<_> = members(&app, &support).await.iter().map(|member| member["role"].clone()).collect();
    assert_eq!(roles.iter().filter(|role| **role == json!("owner")).count(), 1, "{roles:?}");
}

#[tokio::test]
async fn a_transfer_makes_the_member_the_owner_and_gives_no_new_free_answers() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    app.sql(&format!("update user_settings set free_quota_used = 6 where user_id = '{}'", owner.user_id)).await;
    let done = transfer(&app, &owner, &support).await.data(200);
    assert_eq!(done, json!({ "user_id": support.user_id, "former_owner": owner.user_id }));

    let quota = app.get("/api/v1/quota/status").by(&support).await.data(200);
    assert_eq!(quota["free_quota_used"], 6);
    app.get("/api/v1/customers/me").by(&owner).await.refused(403, "forbidden");
    app.get("/api/v1/customers/me").by(&support).await.data(200);
    let listed = members(&app, &support).await;
    let roles: Vec<_> = listed.iter().map(|one| (one["role"].clone(), one["is_account_owner"].clone())).collect();
    assert_eq!(roles, [(json!("support"), json!(false)), (json!("owner"), json!(true))]);
    let moved = format!(
        "select (select count(*) from company_mapping where user_id = '{0}')
              + (select count(*) from company_rag_configs where user_id = '{0}')
              + (select count(*) from customers where user_id = '{0}')",
        support.user_id
    );
    assert_eq!(app.number(&moved).await, 3);
    assert_eq!(transfer(&app, &support, &support).await.data(200)["former_owner"], Value::Null, "a repetition");
    let entries = app.audit_actions(&owner).await;
    assert_eq!(entries, [format!("ownership.transferred user:{}", support.user_id)]);
    // The former owner owns nothing any more, and may own another company.
    transfer(&app, &support, &owner).await.data(200);
}

#[tokio::test]
async fn a_transfer_says_what_is_in_the_way() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&owner).await;
    transfer(&app, &owner, &other).await.refused(404, "not_found");
    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'owner')",
        owner.customer_id, other.user_id
    ))
    .await;
    transfer(&app, &owner, &other).await.refused(409, "company_exists");
    // An owner who is not the account's may not give it away.
    let named = app.post(OWNER).by(&other).header("x-customer-id", owner.customer_id.to_string());
    named.json(&json!({ "user_id": other.user_id })).await.refused(403, "forbidden");
    app.sql(&format!("update profiles set subscription_status = 'past_due' where id = '{}'", owner.user_id)).await;
    transfer(&app, &owner, &support).await.refused(409, "subscription_open");
    app.post(OWNER).by(&owner).json(&json!({ "user_id": "x" })).await.invalid_fields(&["user_id"]);
    app.post(OWNER).by(&owner).json(&json!({ "user_id": support.user_id, "a": 1 })).await.invalid_fields(&["a"]);
    let owned = format!("select count(*) from customers where user_id = '{}'", owner.user_id);
    assert_eq!(app.number(&owned).await, 1, "nothing changed");
}

#[tokio::test]
async fn of_two_transfers_at_once_one_is_made() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let members = [app.sign_up_support(&owner).await, app.sign_up_support(&owner).await];
    let answers = join_all(members.iter().map(|new| transfer(&app, &owner, new))).await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(made.len(), 1, "{answers:?}");
    let refused = answers.iter().find(|answer| answer.status != 200).unwrap();
    assert!(matches!(refused.status, 403 | 409), "{refused:?}");
    let owners =
        format!("select count(*) from customer_members where customer_id = '{}' and role = 'owner'", owner.customer_id);
    assert_eq!(app.number(&owners).await, 1);
}
