//! The catalogue: products by hand and from CSV files.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{App, TenantUser, TestResponse};

const PRODUCTS: &str = "/api/v1/products";

async fn add(app: &App, tenant: &TenantUser, product: Value) -> TestResponse {
    app.post(PRODUCTS).by(tenant).json(&product).await
}

async fn patch(app: &App, tenant: &TenantUser, id: &str, patch: Value) -> TestResponse {
    app.call(Method::PATCH, &format!("{PRODUCTS}/{id}")).by(tenant).json(&patch).await
}

async fn import(app: &App, tenant: &TenantUser, file: impl Into<Vec<u8>>) -> TestResponse {
    app.post(&format!("{PRODUCTS}/import")).by(tenant).body("application/octet-stream", file.into()).await
}

/// Name and price of the products of a list, by name.
async fn names_and_prices(app: &App, tenant: &TenantUser, query: &str) -> Vec<String> {
    let list = app.get(&format!("{PRODUCTS}?sort=name&{query}")).by(tenant).await.data(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|row| format!("{} {}", text(&row["name"]), text(&row["price"]))).collect()
}

#[tokio::test]
async fn a_product_is_added_changed_and_deleted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;

    let added = add(&app, &tenant, json!({ "name": "  Café moulu ", "price": "2500.00" })).await.data(201);
    let id = added["id"].as_str().unwrap();
    assert_eq!(
        added,
        json!({
            "id": id, "name": "Café moulu", "description": null, "price": "2500", "currency": "XOF", "available": true,
            "archived_at": null, "created_at": added["created_at"], "updated_at": added["updated_at"],
        })
    );
    let changed =
        patch(&app, &tenant, id, json!({ "price": "12.5", "currency": "EUR", "description": "Arabica" })).await;
    let changed = changed.data(200);
    assert_eq!((&changed["price"], &changed["currency"]), (&json!("12.50"), &json!("EUR")));
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Café moulu"), &json!("Arabica")));
    let path = format!("{PRODUCTS}/{id}");
    assert_eq!(app.get(&path).by(&tenant).await.data(200), changed);
    assert_eq!(patch(&app, &tenant, id, json!({ "description": null })).await.data(200)["description"], Value::Null);

    for call in [app.get(&path), app.delete(&path), app.call(Method::PATCH, &path).json(&json!({ "price": "1" }))] {
        call.by(&other).await.refused(404, "not_found");
    }
    assert_eq!(names_and_prices(&app, &other, "").await, [""; 0]);

    app.delete(&path).by(&tenant).await.no_content();
    app.get(&path).by(&tenant).await.refused(404, "not_found");
    app.delete(&path).by(&tenant).await.refused(404, "not_found");
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (product, fields) in [
        (json!({}), &["name", "price"][..]),
        (json!({ "name": " ", "price": "-1" }), &["name", "price"]),
        (json!({ "name": "Thé", "price": 2500 }), &["price"]),
        (json!({ "name": "Thé", "price": "1e3" }), &["price"]),
        (json!({ "name": "Thé", "price": "0.005", "currency": "EUR" }), &["price"]),
        (json!({ "name": "Thé", "price": "10000000000000" }), &["price"]),
        // Currencies without a minor unit.
        (json!({ "name": "Thé", "price": "2500.50" }), &["price"]),
        (json!({ "name": "Thé", "price": "2500.50", "currency": "JPY" }), &["price"]),
        (json!({ "name": "Thé", "price": "1", "currency": "FCFA" }), &["currency"]),
        (json!({ "name": "Thé", "price": "1", "colour": "vert" }), &["colour"]),
        (json!({ "name": "x".repeat(201), "price": "1", "description": "y".repeat(2_001) }), &["description", "name"]),
    ] {
        add(&app, &tenant, product).await.invalid_fields(fields);
    }
    let details = add(&app, &tenant, json!({ "name": "Thé", "price": 500 })).await.refused(422, "validation_failed");
    assert_eq!(details[0]["message"], "must be a decimal number in quotes, such as \"2500\" or \"12.50\"");
    let added = add(&app, &tenant, json!({ "name": "Thé", "price": "12.50", "currency": "EUR" })).await.data(201);
    let id = added["id"].as_str().unwrap();
    // The price in its present currency.
    patch(&app, &tenant, id, json!({ "currency": "XOF" })).await.invalid_fields(&["price"]);
    patch(&app, &tenant, id, json!({ "price": null, "sku": 1 })).await.invalid_fields(&["sku"]);
    app.post(PRODUCTS).by(&tenant).raw_json("{").await.refused(400, "malformed_json");
    app.get(&format!("{PRODUCTS}?status=gone&sort=price")).by(&tenant).await.invalid_fields(&["sort", "status"]);
}

#[tokio::test]
async fn two_products_that_people_cannot_tell_apart_are_a_conflict() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let known = add(&app, &tenant, json!({ "name": "Café moulu", "price": "2500" })).await.data(201);
    for name in ["Café moulu", "CAFE  MOULU", "cafe\u{301} moulu"] {
        let details =
            add(&app, &tenant, json!({ "name": name, "price": "1" })).await.refused(409, "product_name_taken");
        assert_eq!(details, json!({ "field": "name", "product_id": known["id"] }), "{name}");
    }
    add(&app, &other, json!({ "name": "Café moulu", "price": "1" })).await.data(201);
    let tea = add(&app, &tenant, json!({ "name": "Thé", "price": "1" })).await.data(201);
    patch(&app, &tenant, tea["id"].as_str().unwrap(), json!({ "name": "cafe moulu" }))
        .await
        .refused(409, "product_name_taken");

    let racing = join_all((0..8).map(|_| add(&app, &tenant, json!({ "name": "Sucre", "price": "700" })))).await;
    let mut statuses: Vec<_> = racing.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn a_product_that_an_order_names_is_archived_in_place_of_deleted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = add(&app, &tenant, json!({ "name": "Café", "price": "2500" })).await.data(201)["id"].clone();
    let id = id.as_str().unwrap();
    app.sql(&format!(
        "insert into orders (company_id, total_amount, currency, items) values ('{}', 2500, 'XOF',
         '[{{\"product_id\": \"{id}\", \"name\": \"Café\", \"quantity\": 1, \"unit_price\": \"2500.00\"}}]')",
        tenant.customer_id
    ))
    .await;
    let path = format!("{PRODUCTS}/{id}");
    app.delete(&path).by(&tenant).await.no_content();
    let archived = app.get(&path).by(&tenant).await.data(200);
    assert_eq!((archived["available"].clone(), archived["archived_at"].is_string()), (json!(false), true));
    assert_eq!(names_and_prices(&app, &tenant, "").await, [""; 0]);
    assert_eq!(names_and_prices(&app, &tenant, "status=archived").await, ["Café 2500"]);
    app.delete(&path).by(&tenant).await.no_content();
    assert_eq!(app.get(&path).by(&tenant).await.data(200)["archived_at"], archived["archived_at"]);
    patch(&app, &tenant, id, json!({ "available": true })).await.refused(409, "product_archived");

    // Its name is free, until it comes back.
    let next = add(&app, &tenant, json!({ "name": "Café", "price": "3000" })).await.data(201);
    patch(&app, &tenant, id, json!({ "archived": false })).await.refused(409, "product_name_taken");
    app.delete(&format!("{PRODUCTS}/{}", next["id"].as_str().unwrap())).by(&tenant).await.no_content();
    let back = patch(&app, &tenant, id, json!({ "archived": false, "available": true })).await.data(200);
    assert_eq!((&back["archived_at"], &back["available"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn lists_are_filtered_searched_sorted_and_paged() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (name, available) in [("Thé vert", true), ("Café moulu", true), ("Œufs", false), ("Thé noir", false)] {
        add(&app, &tenant, json!({ "name": name, "price": "100", "available": available })).await.data(201);
    }
    assert_eq!(names_and_prices(&app, &tenant, "search=THE").await, ["Thé noir 100", "Thé vert 100"]);
    assert_eq!(names_and_prices(&app, &tenant, "search=oeuf").await, ["Œufs 100"]);
    assert_eq!(names_and_prices(&app, &tenant, "status=available").await, ["Café moulu 100", "Thé vert 100"]);
    assert_eq!(names_and_prices(&app, &tenant, "status=unavailable&search=%25").await, [""; 0]);
    let newest = app.get(PRODUCTS).by(&tenant).await.data(200);
    assert_eq!((&newest[0]["name"], newest.as_array().unwrap().len()), (&json!("Thé noir"), 4));
    let first = app.get(&format!("{PRODUCTS}?sort=name&limit=3")).by(&tenant).await.json_body(200);
    let cursor = first["meta"]["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("{PRODUCTS}?sort=name&limit=3&cursor={cursor}")).by(&tenant).await.json_body(200);
    assert_eq!((&first["meta"]["total"], rest["data"].as_array().unwrap().len()), (&json!(4), 1));
    assert_eq!(rest["meta"]["next_cursor"], Value::Null);
}

#[tokio::test]
async fn an_import_adds_and_changes_products_by_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let first = "name,price,description\nCafé moulu,2500,Arabica\n\"Thé, vert\",\"1 000\",\n";
    let report = app.post(&format!("{PRODUCTS}/import")).by(&tenant).body("text/csv; charset=utf-8", first).await;
    assert_eq!(report.data(200), json!({ "rows": 2, "created": 2, "updated": 0, "unchanged": 0 }));
    // As Excel writes it in French: semicolons, a comma in the price, Windows-1252.
    let second =
        b"Nom;Prix;Devise;Disponible\r\nCAF\xc9 MOULU;3,50;EUR;oui\r\nTh\xe9, vert;1000;;oui\r\nCr\xe8me;700;;non\r\n";
    let report = import(&app, &tenant, second.to_vec()).await.data(200);
    assert_eq!(report, json!({ "rows": 3, "created": 1, "updated": 1, "unchanged": 1 }));
    assert_eq!(names_and_prices(&app, &tenant, "status=available").await, ["CAFÉ MOULU 3.50", "Thé, vert 1000"]);
    assert_eq!(names_and_prices(&app, &tenant, "status=unavailable").await, ["Crème 700"]);
    let coffee = app.get(&format!("{PRODUCTS}?search=cafe")).by(&tenant).await.data(200);
    assert_eq!(coffee[0]["description"], "Arabica", "the second file has no such column");
    let utf_16: Vec<u8> = "\u{feff}name\tprice\nMaïs\t50\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(import(&app, &tenant, utf_16).await.data(200)["created"], 1);
    assert_eq!(names_and_prices(&app, &tenant, "search=mais").await, ["Maïs 50"]);
}

#[tokio::test]
async fn a_file_with_one_wrong_row_imports_nothing_and_reports_each_row() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = "name,price,currency,available\n\
        Café,2500,,\n\
        =HYPERLINK(\"http://x\"),1,,\n\
        @SUM(A1),-5,,\n\
        Thé,12.50,XOF,\n\
        ,\"1,500\",FCFA,peut-être\n\
        CAFE,1,,\n\
        Sucre,1\n\
        Lait\u{fffd},1,,\n";
    let faults = import(&app, &tenant, file).await.refused(422, "validation_failed");
    let named: Vec<_> = faults
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| format!("{} {}", fault["line"], fault["field"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            "3 name",
            "4 name",
            "4 price",
            "5 price",
            "6 name",
            "6 price",
            "6 currency",
            "6 available",
            "7 name",
            "8 row",
            "9 name"
        ]
    );
    assert_eq!(faults[8]["message"], "is the name of line 2 already");
    assert_eq!(names_and_prices(&app, &tenant, "").await, [""; 0]);
}

#[tokio::test]
async fn a_file_that_is_no_catalogue_is_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (file, fields) in [
        (b"".to_vec(), &["body"][..]),
        (b"name,price\n".to_vec(), &["body"]),
        (b"PK\x03\x04\x00\x00\x00\x00\x01\x02\x00".to_vec(), &["body"]),
        (b"name,cost\nTea,1\n".to_vec(), &["cost", "price"]),
        (b"name,price,nom\nTea,1,x\n".to_vec(), &["name"]),
        (b"Tea,100\nCoffee,200\n".to_vec(), &["Tea", "100", "name", "price"]),
    ] {
        import(&app, &tenant, file.clone()).await.invalid_fields(fields);
    }
    let details = import(&app, &tenant, b"name,cost,price\nTea,1,1\n".to_vec()).await.refused(422, "validation_failed");
    let message = "is no column of the catalogue: these are name, price, description, currency and available";
    assert_eq!(details, json!([{ "field": "cost", "message": message }]));
    app.post(&format!("{PRODUCTS}/import")).by(&tenant).json(&json!({})).await.refused(415, "unsupported_media_type");
    app.get(&format!("{PRODUCTS}/import")).by(&tenant).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_file_of_20_001_rows_is_refused_and_one_of_20_000_is_imported() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = |rows: u32| {
        let lines = (0..rows).map(|row| format!("Produit {row},{row}\n"));
        format!("name,price\n{}", lines.collect::<String>())
    };
    for rows in [20_001, 100_001] {
        import(&app, &tenant, file(rows)).await.invalid_fields(&["body"]);
    }
    assert_eq!(app.number("select count(*) from products").await, 0);
    let report = import(&app, &tenant, file(20_000)).await.data(200);
    assert_eq!(report, json!({ "rows": 20_000, "created": 20_000, "updated": 0, "unchanged": 0 }));
}

#[tokio::test]
async fn two_imports_at_once_leave_each_product_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = |price: u32, is_reversed: bool| {
        let mut rows: Vec<_> = (0..300).map(|row| format!("Produit {row},{price}\n")).collect();
        if is_reversed {
            rows.reverse();
        }
        format!("name,price\n{}", rows.concat())
    };
    let answers = join_all((1..=6).map(|nth| import(&app, &tenant, file(nth * 100, nth % 2 == 0)))).await;
    let reports: Vec<_> = answers.into_iter().map(|answer| answer.data(200)).collect();
    let sum = |field: &str| reports.iter().map(|report| report[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("created"), sum("rows")), (300, 1_800));
    assert_eq!(app.number("select count(*) from products").await, 300);
    assert_eq!(app.number("select count(distinct price) from products").await, 1, "each file is imported whole");
}

#[tokio::test]
async fn a_file_whose_characters_were_lost_on_the_way_is_reported_by_row() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // A gateway that decodes another encoding as UTF-8 leaves replacement characters.
    let lost = "name,price,description\nTea,1,\nTh\u{fffd},2,\nSavon,3,fra\u{fffd}s\n";
    let answer = app.post(&format!("{PRODUCTS}/import")).by(&tenant).body("text/csv", lost).await;
    let message = "has characters that cannot be read: save the file as UTF-8";
    assert_eq!(
        answer.refused(422, "validation_failed"),
        json!([
            { "line": 3, "field": "name", "message": message },
            { "line": 4, "field": "description", "message": message },
        ])
    );
    assert_eq!(app.number("select count(*) from products").await, 0);
    let file = b"name,price\nTea,1\nTh\xe9,2\nCr\xe8me,3\n".to_vec();
    assert_eq!(import(&app, &tenant, file).await.data(200)["created"], 3);
    assert_eq!(names_and_prices(&app, &tenant, "").await, ["Crème 3", "Tea 1", "Thé 2"]);
}

#[tokio::test]
async fn a_formula_hidden_behind_an_invisible_character_is_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = "name,price,description\n\
        \u{200b}=HYPERLINK(\"http://x\"),1,\n\
        Thé,1,\u{1}=1+1\n\
        \"\t@SUM(A1)\",1,\n\
        Savon,1,＝1+1\n\
        Savon noir,1,fait main = doux\n";
    let faults = import(&app, &tenant, file).await.refused(422, "validation_failed");
    let faults: Vec<_> = faults.as_array().unwrap().iter().map(|fault| (&fault["line"], &fault["field"])).collect();
    let expected = [(2, "name"), (3, "description"), (4, "name"), (5, "description")]
        .map(|(line, field)| (json!(line), json!(field)));
    assert_eq!(faults, expected.iter().map(|(line, field)| (line, field)).collect::<Vec<_>>());
    assert_eq!(app.number("select count(*) from products").await, 0);
}

#[tokio::test]
async fn broken_and_oversized_files_are_refused_whole() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let lines = |rows: u32| (0..rows).map(|row| format!("Produit {row},{row}\n")).collect::<String>();
    let faults = |answer: TestResponse| {
        let faults = answer.refused(422, "validation_failed");
        let fault = |fault: &Value| (fault["line"].as_u64().unwrap(), fault["field"].as_str().unwrap().to_owned());
        faults.as_array().unwrap().iter().map(fault).collect::<Vec<_>>()
    };
    // A quote that is not closed takes the rest of the file into its field.
    let open = format!("name,price\n{}\"Thé,1\n{}", lines(3), lines(3));
    assert_eq!(faults(import(&app, &tenant, open).await), [(5, "row".to_owned())]);
    // A name over two lines, and the line of the row after it.
    let broken = "name,price\n\"Thé\nvert\",1\nSucre,x\n";
    assert_eq!(faults(import(&app, &tenant, broken).await), [(2, "name".to_owned()), (4, "price".to_owned())]);
    let nul = format!("name,price\n{}Th\0é,1\n", lines(300));
    assert_eq!(faults(import(&app, &tenant, nul).await), [(302, "name".to_owned())]);
    let long = format!("name,price\n{},1\n", "x".repeat(201));
    assert_eq!(faults(import(&app, &tenant, long).await), [(2, "name".to_owned())]);
    let wide = format!("name,price\nThé{}1\n", ",".repeat(1_000_000));
    let answer = import(&app, &tenant, wide).await.refused(422, "validation_failed");
    assert_eq!(answer[0]["message"], "has 1000001 fields, and the first line names 2");
    // Not one fault for each of a million columns.
    let header = import(&app, &tenant, format!("{}\n", "a,".repeat(1_000_000))).await;
    assert_eq!(header.refused(422, "validation_failed").as_array().unwrap().len(), 22);
    import(&app, &tenant, format!("name,price\n{}", ",\n".repeat(200_000))).await.invalid_fields(&["body"]);
    let faulty = format!("name,price\n{}", "Thé,-1\n".repeat(5_000));
    let many = import(&app, &tenant, faulty).await;
    assert!(many.text.contains("5000 values of the file are not valid"), "{}", many.text);
    assert_eq!(many.refused(422, "validation_failed").as_array().unwrap().len(), 1_000);
    import(&app, &tenant, vec![b'x'; 4 * 1024 * 1024 + 1]).await.refused(413, "payload_too_large");
    assert_eq!(app.number("select count(*) from products").await, 0);
}

#[tokio::test]
async fn an_import_that_fails_in_the_database_leaves_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    add(&app, &tenant, json!({ "name": "Produit 5", "price": "1" })).await.data(201);
    app.sql(
        "create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'no' using errcode = 'XX000'; end $$;
         create trigger refuse after insert or update on products for each row when (new.name = 'Produit 90')
         execute function refuse()",
    )
    .await;
    let file: String = (0..100).map(|row| format!("Produit {row},7\n")).collect();
    let file = format!("name,price\n{file}");
    import(&app, &tenant, file.clone()).await.refused(500, "internal");
    assert_eq!(names_and_prices(&app, &tenant, "").await, ["Produit 5 1"]);
    app.sql("drop trigger refuse on products").await;
    let report = import(&app, &tenant, file).await.data(200);
    assert_eq!(report, json!({ "rows": 100, "created": 99, "updated": 1, "unchanged": 0 }));
}

#[tokio::test]
async fn imports_race_with_single_products_with_refused_files_and_with_another_company() {
    let app = App::start().await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Lumaworks").await);
    let file = |price: u32| {
        let rows: String = (0..200).map(|row| format!("Produit {row},{price}\n")).collect();
        format!("name,price\n{rows}")
    };
    let refused = format!("{}Thé,-1\n", file(300));
    let single = |row: u32| add(&app, &tenant, json!({ "name": format!("PRODUIT {row}"), "price": "900" }));
    let (first, second, bad, foreign, singles) = tokio::join!(
        import(&app, &tenant, file(100)),
        import(&app, &tenant, file(200)),
        import(&app, &tenant, refused),
        import(&app, &other, file(400)),
        join_all((0..20).map(|row| single(row * 10)))
    );
    bad.refused(422, "validation_failed");
    assert_eq!(foreign.data(200)["created"], 200);
    let created: i64 = [first, second].map(|answer| answer.data(200)["created"].as_i64().unwrap()).iter().sum();
    let mut added = 0;
    for answer in singles {
        match answer.status {
            201 => added += 1,
            _ => drop(answer.refused(409, "product_name_taken")),
        }
    }
    assert_eq!(created + added, 200);
    let count = async |filter: &str| {
        let of_tenant = format!("customer_id = '{}' and {filter}", tenant.customer_id);
        app.number(&format!("select count(*) from products where {of_tenant}")).await
    };
    assert_eq!((count("true").await, count("price = 300").await, count("price in (100, 200)").await), (200, 0, 200));
    let prices = format!("select count(distinct price) from products where customer_id = '{}'", tenant.customer_id);
    assert_eq!(app.number(&prices).await, 1, "each file is imported whole");
}
