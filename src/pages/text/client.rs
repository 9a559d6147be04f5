//! The words of the page that asks for another client.

use super::{Word, phrase};
use crate::pages::NeededClient;

/// Around the address and its copy button.
pub(super) const ADDRESS: [Word; 7] = [
    ("address", phrase("网址", "網址", "Address")),
    ("copy", phrase("复制网址", "複製網址", "Copy the address")),
    ("copied", phrase("已复制", "已複製", "Copied")),
    (
        "copy_failed",
        phrase(
            "没能自动复制，请长按网址手动复制",
            "無法自動複製，請長按網址手動複製",
            "Could not copy. Please select the address and copy it by hand",
        ),
    ),
    ("open", phrase("打开微信", "開啟微信", "Open WeChat")),
    (
        "otherwise",
        phrase(
            "打不开微信时，可以这样：",
            "無法開啟微信時，可以這樣：",
            "If WeChat does not open:",
        ),
    ),
    (
        "qr",
        phrase(
            "网址的二维码",
            "網址的 QR\u{a0}碼",
            "QR code of the address",
        ),
    ),
];

/// Which client is needed and how to get there.
#[expect(clippy::too_many_lines, reason = "a table: one row for each client")]
pub(super) fn words(needs: NeededClient) -> [Word; 4] {
    let in_wechat = phrase(
        "请在微信中打开",
        "請在微信中開啟",
        "Please open this in WeChat",
    );
    let by_file_transfer = phrase(
        "复制网址，在微信里发给“文件传输助手”，再点开它。",
        "複製網址，在微信中傳給「檔案傳輸助手」，再點開它。",
        "Copy the address, send it to File Transfer in WeChat and tap it there.",
    );
    let by_scan = phrase(
        "或者用微信“扫一扫”扫描二维码；同一部手机可先截屏，再从相册选取。",
        "或用微信「掃一掃」掃描 QR\u{a0}碼；在同一支手機上可先擷取畫面，再從相簿選取。",
        "Or scan the code with WeChat. On the same phone, take a screenshot and pick it from the album.",
    );
    let (title, lead, by_link, by_qr) = match needs {
        NeededClient::Wechat => (
            in_wechat,
            phrase(
                "“{site}”使用微信登录，这个浏览器无法完成。",
                "「{site}」使用微信登入，這個瀏覽器無法完成。",
                "{site} logs you in with WeChat, which this browser cannot do.",
            ),
            by_file_transfer,
            by_scan,
        ),
        NeededClient::WechatNotWecom => (
            in_wechat,
            phrase(
                "“{site}”使用个人微信登录，企业微信不支持。",
                "「{site}」使用個人微信登入，企業微信不支援。",
                "{site} uses personal WeChat accounts. WeCom cannot log in here.",
            ),
            by_file_transfer,
            by_scan,
        ),
        NeededClient::MiniProgram => (
            phrase(
                "请在小程序中打开",
                "請在小程式中開啟",
                "Please open this in the mini program",
            ),
            phrase(
                "“{site}”的这个页面只能从微信小程序进入。",
                "「{site}」的這個頁面只能從微信小程式進入。",
                "This page of {site} is only available from its WeChat mini program.",
            ),
            phrase(
                "打开微信，下拉或搜索找到小程序，从中进入此页面。",
                "開啟微信，下拉或搜尋找到小程式，從中進入此頁面。",
                "Open WeChat, find the mini program and go to this page from there.",
            ),
            phrase(
                "或者用微信“扫一扫”扫描二维码。",
                "或用微信「掃一掃」掃描 QR\u{a0}碼。",
                "Or scan the code with WeChat.",
            ),
        ),
        NeededClient::Desktop => (
            phrase(
                "请在电脑上打开",
                "請在電腦上開啟",
                "Please open this on a computer",
            ),
            phrase(
                "“{site}”的这个页面需要电脑浏览器。",
                "「{site}」的這個頁面需要電腦瀏覽器。",
                "This page of {site} needs a browser on a computer.",
            ),
            phrase(
                "复制网址，发到电脑上打开。",
                "複製網址，傳到電腦上開啟。",
                "Copy the address, send it to your computer and open it there.",
            ),
            by_scan,
        ),
        NeededClient::Phone => (
            phrase(
                "请在手机上打开",
                "請在手機上開啟",
                "Please open this on a phone",
            ),
            phrase(
                "“{site}”的这个页面需要手机浏览器。",
                "「{site}」的這個頁面需要手機瀏覽器。",
                "This page of {site} needs a browser on a phone.",
            ),
            phrase(
                "复制网址，发到手机上打开。",
                "複製網址，傳到手機上開啟。",
                "Copy the address, send it to your phone and open it there.",
            ),
            phrase(
                "或者用手机相机扫描二维码。",
                "或用手機相機掃描 QR\u{a0}碼。",
                "Or scan the code with the camera of your phone.",
            ),
        ),
    };
    [
        ("title", title),
        ("lead", lead),
        ("by_link", by_link),
        ("by_qr", by_qr),
    ]
}
