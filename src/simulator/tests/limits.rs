//! How long and how often: what WeChat's pages disagree about, and what it counts.

use super::*;

async fn answer(bench: &Bench, path: &str) -> Value {
    let answer = bench.get(path, &[]).await;
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_refresh_token_lives_30_or_180_days() {
    const DAY: u64 = 24 * 3600;
    for (is_long, days) in [(false, 30), (true, 180)] {
        let bench = Bench::start().await;
        let faults = bench.simulator.faults();
        faults.change(|switches| switches.long_refresh = is_long);
        let query = format!(
            "appid={APP}&redirect_uri={REDIRECT}&response_type=code&scope=snsapi_base&state=a"
        );
        let back = location(&bench.authorize(&query, &[]).await);
        let code = parameter(&back, "code").unwrap();
        let granted = answer(&bench, &exchange_path(APP, SECRET, &code)).await;
        let token = granted["refresh_token"].as_str().unwrap();
        let refresh = format!(
            "/sns/oauth2/refresh_token?appid={APP}&grant_type=refresh_token&refresh_token={token}"
        );

        bench.clock.advance(Duration::from_secs(days * DAY - 60));
        assert_eq!(answer(&bench, &refresh).await["refresh_token"], token);
        bench.clock.advance(Duration::from_secs(60));
        assert_eq!(answer(&bench, &refresh).await["errcode"], 42002, "{days}");
    }
}

#[tokio::test]
async fn a_person_exchanges_100_codes_a_minute_and_no_more() {
    let bench = Bench::start().await;
    let mini = "wx00000000000000aa";
    let simulator = &bench.simulator;
    simulator.add_app_of_kind(AppKind::MiniProgram, mini, SECRET, &[]);
    let login = async |person: &str| {
        let code = simulator.client_code(mini, person).unwrap();
        let path = format!(
            "/sns/jscode2session?appid={mini}&secret={SECRET}&js_code={code}&grant_type=authorization_code"
        );
        answer(&bench, &path).await
    };
    for _ in 0..100 {
        assert_eq!(login("alice").await.get("errcode"), None);
    }

    assert_eq!(login("alice").await["errcode"], 45011);

    assert_eq!(login("bob").await.get("errcode"), None);
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(login("alice").await.get("errcode"), None);
}
