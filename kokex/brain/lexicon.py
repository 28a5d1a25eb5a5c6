"""The words by which headlines are judged where no language model is asked: English and Korean.

A word ending in * stands for all that begin so. Weights of sentiment are -2..2. An event's words are looked for in the
order of the table: the first event that has one is the event.
"""

from kokex.messages import NewsEvent

EVENTS: dict[NewsEvent, str] = {
    "hack": "hack* exploit* breach* stolen theft drained attacker* ransomware phishing 해킹 탈취 유출",
    "delisting": "delist* 상장폐지 거래종료",
    "listing": "listing lists listed 상장",
    "outage": "outage* downtime halted halts suspend* offline maintenance 장애 중단 점검",
    "lawsuit": "lawsuit* sue sues sued court* indict* charged settlement convict* 소송 기소 재판",
    "regulation": "regulat* ban bans banned sec cftc mica fsc sanction* licen* law laws bill "
    "규제 금융위 금지 법안 제재",
    "funds": "etf etfs inflow* outflow* fund funds 자금 펀드",
    "macro": "fed fomc inflation cpi ppi rate rates jobs payroll* gdp tariff* recession 금리 연준 물가 관세 고용",
    "earnings": "earnings revenue* profit* guidance eps 실적 매출 영업이익",
    "partnership": "partner* integrat* collaborat* adopts adoption 제휴 협력 도입",
    "upgrade": "upgrade* mainnet hardfork fork testnet halving 업그레이드 메인넷 반감기",
    "supply": "unlock* burn* mint* airdrop* staking whale* 소각 언락 물량",
}

SENTIMENT: dict[int, str] = {
    2: "soar* surg* skyrocket* record approv* breakthrough 급등 폭등 사상최고 승인",
    1: "rise* rises rising gain* rally rallies up climb* jump* beat beats bullish inflow* growth strong listing lists "
    "partner* adopt* upgrade* recover* optimis* 상승 호조 강세 유입 회복 호재",
    -1: "fall* falls fell drop* slip* decline* down miss misses bearish outflow* weak warn* delay* fear* concern* "
    "probe lawsuit* sue sues sued outage* halt* suspend* 하락 약세 우려 유출 부진 악재 소송 중단",
    -2: "crash* plunge* collaps* hack* exploit* bankrupt* insolven* fraud delist* ban bans banned stolen liquidat* "
    "폭락 급락 해킹 파산 상장폐지 사기 금지",
}

NEGATIONS = "not no never without denies deny denied reject* rejects refutes 아니 부인 거부"

NAMES: dict[str, str] = {
    "BTC": "bitcoin 비트코인",
    "ETH": "ethereum ether 이더리움",
    "SOL": "solana 솔라나",
    "XRP": "ripple 리플",
    "DOGE": "dogecoin 도지코인",
    "ADA": "cardano 에이다",
    "AVAX": "avalanche 아발란체",
    "DOT": "polkadot 폴카닷",
    "POL": "polygon 폴리곤",
    "LTC": "litecoin 라이트코인",
}
