//! What happened, from the visitor's side: a title and one sentence for each cause.

use super::{Phrase, phrase};
use crate::pages::Cause;

/// The headline.
pub(super) fn title(cause: Cause) -> Phrase {
    match cause {
        Cause::LoginCancelled => {
            phrase("登录没有完成", "登入沒有完成", "You are not logged in yet")
        }
        Cause::LoginState => phrase("这次登录已失效", "這次登入已失效", "This login has expired"),
        Cause::LoginCode => phrase(
            "微信没有通过这次登录",
            "微信沒有通過這次登入",
            "WeChat did not accept this login",
        ),
        Cause::LoginBlocked => phrase(
            "这个微信号暂时无法登录",
            "這個微信帳號暫時無法登入",
            "This WeChat account cannot log in now",
        ),
        Cause::LoginSetup => phrase(
            "网站尚未设置好微信登录",
            "網站尚未設定好微信登入",
            "WeChat login is not set up correctly",
        ),
        Cause::LoopCookie => phrase(
            "浏览器没有保存登录状态",
            "瀏覽器沒有儲存登入狀態",
            "Your browser did not keep the login",
        ),
        Cause::LoopHttp
        | Cause::LoopHost
        | Cause::LoopClock
        | Cause::LoopKeys
        | Cause::LoopUnionid => phrase(
            "登录一直无法完成",
            "登入一直無法完成",
            "The login cannot be completed",
        ),
        Cause::WechatTimeout => phrase(
            "微信暂时没有响应",
            "微信暫時沒有回應",
            "WeChat is not answering",
        ),
        Cause::WechatTrouble => phrase(
            "微信登录服务出了问题",
            "微信登入服務發生問題",
            "WeChat login has a problem",
        ),
        Cause::StoreTrouble => phrase(
            "登录服务暂时不可用",
            "登入服務暫時無法使用",
            "Login is not available right now",
        ),
        Cause::UpstreamBroken => phrase(
            "网站暂时无法访问",
            "網站暫時無法存取",
            "The site is not answering",
        ),
        Cause::UpstreamTimeout => phrase("网站响应超时", "網站回應逾時", "The site took too long"),
        Cause::UpstreamUnavailable => phrase(
            "网站正在维护或过于繁忙",
            "網站正在維護或過於忙碌",
            "The site is busy or being maintained",
        ),
        Cause::Internal => phrase("出了点问题", "發生了一點問題", "Something went wrong"),
        Cause::BadRequest => phrase("请求有误", "請求有誤", "This request is not valid"),
        Cause::NotFound => phrase("页面不存在", "找不到這個頁面", "Page not found"),
        Cause::MethodNotAllowed => phrase(
            "不支持这样的操作",
            "不支援這樣的操作",
            "This is not possible here",
        ),
        Cause::TooSlow => phrase("发送超时", "傳送逾時", "Sending took too long"),
        Cause::TooLarge => phrase("内容太大", "內容太大", "Too large to send"),
        Cause::UnknownHost => phrase(
            "这个网址没有网站",
            "這個網址沒有網站",
            "No site at this address",
        ),
        Cause::TooManyRequests => phrase("操作太频繁", "操作太頻繁", "Too many requests"),
        Cause::NotSupported => phrase(
            "不支持这种请求",
            "不支援這種請求",
            "This request is not supported",
        ),
    }
}

/// One sentence: what it means and what helps.
#[expect(clippy::too_many_lines, reason = "a table: one row for each cause")]
pub(super) fn lead(cause: Cause) -> Phrase {
    match cause {
        Cause::LoginState => phrase(
            "可能停留太久，或者换了浏览器。请重新登录。",
            "可能停留太久，或是換了瀏覽器。請重新登入。",
            "It took too long or began in another browser. Please log in again.",
        ),
        Cause::LoginCode => phrase(
            "登录凭证已经过期或用过，请重新登录。",
            "登入憑證已過期或已使用過，請重新登入。",
            "The pass from WeChat has expired or was used already. Please log in again.",
        ),
        Cause::LoginBlocked => phrase(
            "微信限制了它的登录授权。请稍后再试，或在微信中查看账号状态。",
            "微信限制了它的登入授權。請稍後再試，或在微信中查看帳號狀態。",
            "WeChat limits it at the moment. Try later, or check the account in WeChat.",
        ),
        Cause::LoginSetup => phrase(
            "这不是你的问题。请把下面的信息发给网站管理员。",
            "這不是你的問題。請將以下資訊傳給網站管理員。",
            "This is not your fault. Please send the details below to the people who run the site.",
        ),
        Cause::LoginCancelled => phrase(
            "你可能取消了授权，或者微信没有返回结果。再试一次就好。",
            "你可能取消了授權，或是微信沒有傳回結果。再試一次即可。",
            "You may have cancelled, or WeChat sent no answer. Simply try again.",
        ),
        Cause::LoopCookie => phrase(
            "请允许本网站使用 Cookie，或关闭无痕模式，然后重新登录。",
            "請允許本網站使用 Cookie，或關閉無痕模式，然後重新登入。",
            "Please allow cookies for this site, or leave private mode, and log in again.",
        ),
        Cause::LoopUnionid => phrase(
            "微信没有提供网站所需的账号信息。请把下面的信息发给网站管理员。",
            "微信沒有提供網站所需的帳號資訊。請將以下資訊傳給網站管理員。",
            "WeChat does not give the account details that this site needs. Please send the details below to the people who run it.",
        ),
        Cause::LoopHttp | Cause::LoopHost | Cause::LoopClock | Cause::LoopKeys => phrase(
            "为避免反复跳转，我们先停在这里。请把下面的信息发给网站管理员。",
            "為避免反覆跳轉，我們先停在這裡。請將以下資訊傳給網站管理員。",
            "We stopped here so that you are not sent around in circles. Please send the details below to the people who run the site.",
        ),
        Cause::WechatTimeout | Cause::WechatTrouble => phrase(
            "问题出在微信一侧或与微信的连接上，请稍后再试。",
            "問題出在微信那一端或與微信的連線上，請稍後再試。",
            "The problem is with WeChat or on the way to it. Please try again in a moment.",
        ),
        Cause::StoreTrouble => phrase(
            "我们正在恢复服务，已登录的用户不受影响。请稍后再试。",
            "我們正在恢復服務，已登入的使用者不受影響。請稍後再試。",
            "We are working on it. Visitors who are logged in are not affected. Please try again in a moment.",
        ),
        Cause::UpstreamBroken | Cause::UpstreamTimeout | Cause::UpstreamUnavailable => phrase(
            "你的网络没有问题，是网站没有响应。请稍后再试。",
            "你的網路沒有問題，是網站沒有回應。請稍後再試。",
            "Your connection is fine, but the site does not respond. Please try again in a moment.",
        ),
        Cause::Internal => phrase(
            "这是我们的问题，请稍后再试。",
            "這是我們的問題，請稍後再試。",
            "The fault is ours. Please try again in a moment.",
        ),
        Cause::NotFound => phrase(
            "链接可能有误，或者页面已经移走。",
            "連結可能有誤，或是頁面已經移走。",
            "The link may be wrong, or the page has moved.",
        ),
        Cause::MethodNotAllowed => phrase(
            "请回到首页，从那里重新开始。",
            "請回到首頁，從那裡重新開始。",
            "Please start again from the home page.",
        ),
        Cause::TooSlow => phrase(
            "数据没有及时传完。请检查网络后再试。",
            "資料沒有及時傳完。請檢查網路後再試。",
            "The data did not arrive in time. Check your connection and try again.",
        ),
        Cause::TooLarge => phrase(
            "发送的内容超出了网站的限制，请减小后再试。",
            "傳送的內容超出了網站的限制，請縮小後再試。",
            "It is more than this site takes. Make it smaller and try again.",
        ),
        Cause::UnknownHost => phrase(
            "请检查网址是否正确。",
            "請檢查網址是否正確。",
            "Please check the address for typing mistakes.",
        ),
        Cause::TooManyRequests => phrase(
            "请歇一会儿再试。",
            "請稍待片刻再試。",
            "Please wait a little and try again.",
        ),
        Cause::NotSupported => phrase(
            "网站不能处理这种方式的请求。",
            "網站無法處理這種方式的請求。",
            "The site cannot handle a request of this kind.",
        ),
        Cause::BadRequest => phrase(
            "网址或发送的内容格式不正确，无法处理。",
            "網址或傳送的內容格式不正確，無法處理。",
            "The address or what was sent with it is malformed.",
        ),
    }
}
