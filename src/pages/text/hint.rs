//! What the operator should look at, for each cause. Shown only with `show_details`.

use super::{Phrase, phrase};
use crate::pages::Cause;

/// One sentence for the operator; it names settings, never addresses or secrets.
#[expect(clippy::too_many_lines, reason = "a table: one row for each cause")]
pub(in crate::pages) fn hint(cause: Cause) -> Phrase {
    match cause {
        Cause::LoginState => phrase(
            "回调中的 state 与此浏览器的登录 Cookie 不符：Cookie 丢失、超过 attempt_ttl，或链接来自他人。",
            "回呼中的 state 與此瀏覽器的登入 Cookie 不符：Cookie 遺失、超過 attempt_ttl，或連結來自他人。",
            "The state of the callback is not in this browser's attempts cookie: cookie lost, older than attempt_ttl, or a link from somebody else.",
        ),
        Cause::LoginCode => phrase(
            "微信两次拒绝了 code（40029、40163 或 42003）。请确认没有其他程序也在兑换，且 appid 与 secret 属于同一账号。",
            "微信兩次拒絕了 code（40029、40163 或 42003）。請確認沒有其他程式也在兌換，且 appid 與 secret 屬於同一帳號。",
            "WeChat refused the code twice (40029, 40163 or 42003). Make sure that nothing else redeems it and that appid and secret belong together.",
        ),
        Cause::LoginBlocked => phrase(
            "微信返回用户受限（50002、40226）或频率限制（45011、10009）。",
            "微信回報使用者受限（50002、40226）或頻率限制（45011、10009）。",
            "WeChat reports a restricted user (50002, 40226) or a frequency limit (45011, 10009).",
        ),
        Cause::LoginSetup => phrase(
            "微信不接受当前配置：appid、secret、IP 白名单或网页授权域名有误。错误码见日志。",
            "微信不接受目前的設定：appid、secret、IP 白名單或網頁授權網域有誤。錯誤碼請見日誌。",
            "WeChat does not accept the set-up: appid, secret, IP allowlist or callback domain. The log has its error code.",
        ),
        Cause::LoginCancelled => phrase(
            "回调没有带 code。如果用户并未取消，请检查网页授权域名。",
            "回呼沒有帶 code。如果使用者並未取消，請檢查網頁授權網域。",
            "The callback came without a code. If visitors did not cancel, check the callback domain.",
        ),
        Cause::LoopHttp => phrase(
            "用户通过 http 访问，而 public_url 是 https，Secure Cookie 因此丢失。请把 http 跳转到 https，并把前置代理列入 trusted_proxies。",
            "使用者透過 http 存取，而 public_url 是 https，Secure Cookie 因此遺失。請將 http 轉址到 https，並把前置代理列入 trusted_proxies。",
            "Visitors arrive by http while public_url says https, so Secure cookies are lost. Redirect http to https and list the front proxy in trusted_proxies.",
        ),
        Cause::LoopHost => phrase(
            "回调到达的主机与用户所在的主机不同，Cookie 无法共用。请检查 public_url 与前置代理的 Host。",
            "回呼到達的主機與使用者所在的主機不同，Cookie 無法共用。請檢查 public_url 與前置代理的 Host。",
            "The callback arrives on another host than the visitor is on, so the cookie is not sent. Check public_url and the Host that the front proxy passes on.",
        ),
        Cause::LoopClock => phrase(
            "各节点的时钟不一致，登录一产生就被当作过期。请用 NTP 校时。",
            "各節點的時鐘不一致，登入一產生就被視為過期。請用 NTP 校時。",
            "The clocks of the nodes are apart, so every login looks expired at once. Synchronise them with NTP.",
        ),
        Cause::LoopKeys => phrase(
            "登录是由持有另一组密钥的节点封存的。请让所有节点使用相同的 session keys。",
            "登入是由持有另一組金鑰的節點封存的。請讓所有節點使用相同的 session keys。",
            "The login was sealed by a node with other keys. Give all nodes the same session keys.",
        ),
        Cause::LoopUnionid => phrase(
            "路由要求 unionid，但微信没有返回。请在微信开放平台绑定此公众号。",
            "路由要求 unionid，但微信沒有傳回。請在微信開放平台綁定此公眾號。",
            "The route requires a unionid and WeChat gives none. Bind the account on the WeChat Open Platform.",
        ),
        Cause::LoopCookie => phrase(
            "浏览器连续三次没有带回我们的 Cookie。请检查前置代理是否删除了 Set-Cookie，以及网站是否走 https。",
            "瀏覽器連續三次沒有帶回我們的 Cookie。請檢查前置代理是否刪除了 Set-Cookie，以及網站是否使用 https。",
            "Three times in a row the browser did not bring our cookie back. Check that the front proxy keeps Set-Cookie and that the site uses https.",
        ),
        Cause::WechatTimeout => phrase(
            "微信接口超时。请检查出站网络、DNS 和 wechat 的超时设置。",
            "微信介面逾時。請檢查對外網路、DNS 和 wechat 的逾時設定。",
            "WeChat's API timed out. Check outbound network, DNS and the wechat timeouts.",
        ),
        Cause::WechatTrouble => phrase(
            "微信接口返回了错误或无法识别的内容，错误码见日志。",
            "微信介面傳回了錯誤或無法辨識的內容，錯誤碼請見日誌。",
            "WeChat's API answered with an error or with something unreadable. The log has the error code.",
        ),
        Cause::StoreTrouble => phrase(
            "存储没有响应。请检查 state_dir 所在磁盘，原因见日志。",
            "儲存服務沒有回應。請檢查 state_dir 所在磁碟，原因請見日誌。",
            "The store does not answer. Check the disk of state_dir; the log says why.",
        ),
        Cause::UpstreamBroken => phrase(
            "上游拒绝或中断了连接。请确认应用正在运行，原因见日志。",
            "上游拒絕或中斷了連線。請確認應用程式正在執行，原因請見日誌。",
            "The upstream refused or broke the connection. Make sure that the application runs; the log says why.",
        ),
        Cause::UpstreamTimeout => phrase(
            "上游没有在期限内返回响应头。请查看应用负载，或调整此路由的超时。",
            "上游沒有在期限內傳回回應標頭。請查看應用程式負載，或調整此路由的逾時。",
            "The upstream sent no response head in time. Look at its load, or raise the timeout of this route.",
        ),
        Cause::UpstreamUnavailable => phrase(
            "上游没有健康的服务器，原因见日志。",
            "上游沒有健康的伺服器，原因請見日誌。",
            "No server of the upstream is healthy. The log says why.",
        ),
        Cause::Internal => phrase(
            "网关内部错误，请按请求编号查日志并报告。",
            "閘道內部錯誤，請依請求編號查日誌並回報。",
            "An internal error of the gateway. Find the request id in the log and report it.",
        ),
        Cause::NotFound => phrase(
            "没有路由匹配这个主机和路径。可运行 wxgate routes explain。",
            "沒有路由符合這個主機和路徑。可執行 wxgate routes explain。",
            "No route matches this host and path. Try wxgate routes explain.",
        ),
        Cause::MethodNotAllowed => phrase(
            "这个地址不接受此 HTTP 方法。",
            "這個位址不接受此 HTTP 方法。",
            "This address does not take this HTTP method.",
        ),
        Cause::TooSlow => phrase(
            "客户端没有在期限内发完请求。",
            "用戶端沒有在期限內送完請求。",
            "The client did not finish its request in time.",
        ),
        Cause::TooLarge => phrase(
            "请求超出了此路由的大小限制。",
            "請求超出了此路由的大小限制。",
            "The request is larger than the limit of this route.",
        ),
        Cause::UnknownHost => phrase(
            "没有路由提供这个主机名。请检查 DNS 与 routes 中的 host。",
            "沒有路由提供這個主機名稱。請檢查 DNS 與 routes 中的 host。",
            "No route serves this host name. Check DNS and the hosts of the routes.",
        ),
        Cause::TooManyRequests => phrase(
            "触发了 rate_limit。若多人共用出口 IP，请核对 trusted_proxies 或调高限额。",
            "觸發了 rate_limit。若多人共用出口 IP，請核對 trusted_proxies 或調高限額。",
            "A rate_limit was hit. If many people share one address, check trusted_proxies or raise the limit.",
        ),
        Cause::NotSupported => phrase(
            "不支持请求中的 Expect 或 Upgrade。",
            "不支援請求中的 Expect 或 Upgrade。",
            "The Expect or Upgrade of this request is not supported.",
        ),
        Cause::BadRequest => phrase(
            "请求行或请求头含有可能被不同程序作不同理解的内容，具体原因见日志。",
            "請求行或標頭含有可能被不同程式作不同解讀的內容，具體原因請見日誌。",
            "The request line or a header can be read in two ways. The log has the exact reason.",
        ),
    }
}
