"""Vietnamese words that samples are built of: names nobody has, companies and streets that could be anywhere."""

FAMILY = (
    "Nguyễn", "Trần", "Lê", "Phạm", "Huỳnh", "Hoàng", "Phan", "Vũ", "Võ", "Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý",
    "Đinh", "Trương", "Mai", "Lâm", "Châu", "Tạ", "Cao", "Thái",
)  # fmt: skip
MIDDLE = (
    "Minh", "Ngọc", "Thanh", "Kim", "Hoàng", "Bảo", "Gia", "Hồng", "Xuân", "Thu", "Quốc", "Phương", "Anh", "Đức", "Khánh",
    "Tấn", "Tuyết", "Trung", "Hải", "Mỹ",
)  # fmt: skip
GIVEN = (
    "An", "Anh", "Bình", "Châu", "Chi", "Cường", "Dung", "Duy", "Dũng", "Đạt", "Giang", "Hà", "Hải", "Hạnh", "Hậu", "Hiền",
    "Hòa", "Hùng", "Hương", "Khang", "Khoa", "Lan", "Linh", "Long", "Mai", "My", "Nam", "Nga", "Ngân", "Nghĩa", "Nhân",
    "Nhung", "Phát", "Phong", "Phúc", "Phương", "Quân", "Quyên", "Sơn", "Tâm", "Thảo", "Thịnh", "Thủy", "Tiến", "Trang",
    "Trí", "Trinh", "Tú", "Tuấn", "Uyên", "Vân", "Vinh", "Vy", "Yến",
)  # fmt: skip
COMPANY = (
    "Công ty TNHH", "Công ty Cổ phần", "Công ty TNHH MTV", "Doanh nghiệp tư nhân", "Công ty TNHH Thương mại Dịch vụ",
    "Công ty TNHH Sản xuất", "Hợp tác xã",
)  # fmt: skip
BRAND = (
    "An", "Bảo", "Bình", "Đại", "Đông", "Gia", "Hải", "Hòa", "Hoàng", "Hồng", "Hưng", "Khánh", "Kim", "Long", "Mai", "Minh",
    "Nam", "Ngọc", "Nhật", "Phú", "Phúc", "Phước", "Quang", "Tân", "Thành", "Thiên", "Thịnh", "Tiến", "Trường", "Vạn", "Việt",
    "Vĩnh",
)  # fmt: skip
BRAND_END = (
    "An", "Cường", "Đạt", "Đức", "Hưng", "Lộc", "Lợi", "Long", "Mỹ", "Nguyên", "Phát", "Phong", "Phú", "Quang", "Sơn", "Tâm",
    "Thành", "Thịnh", "Tiến", "Vinh",
)  # fmt: skip
PLACE = ("Khu", "Tuyến", "Cụm", "Điểm", "Trạm", "Công trình")
STREET = (
    "Nguyễn Huệ", "Trần Hưng Đạo", "Lê Lợi", "Hai Bà Trưng", "Võ Văn Tần", "Nguyễn Trãi", "Lý Thường Kiệt", "Hùng Vương",
    "Nguyễn Đình Chiểu", "Trương Định", "Quốc lộ 1", "Phan Đình Phùng", "Cách Mạng Tháng Tám", "Nguyễn Trung Trực",
)  # fmt: skip
RELIGION = ("Không", "Phật giáo", "Công giáo", "Cao Đài", "Phật giáo Hòa Hảo", "Tin Lành")
HEALTH = ("Loại 1", "Loại 2", "Loại 3", "Loại 4")
ETHNIC = ("01", "05", "08", "02", "03", "13")
DISEASE = ("J06.9", "I10", "A90", "E11.9", "J18.9", "K29.7", "B08.4", "A09", "J20.9", "M54.5", "H10.9", "K02.1", "N39.0", "I25.9")
INDUSTRY = (
    "01110", "01410", "01450", "03221", "10612", "10201", "13110", "14100", "15200", "16210", "22201", "25920", "41000",
    "46310", "47110", "49331", "55101", "56101", "62010", "86200",
)  # fmt: skip
COUNTRY = ("VN", "KR", "JP", "CN", "TW", "SG", "US", "TH", "DE", "NL", "MY", "AU")
GOODS = ("61091010", "64039990", "10063099", "03061721", "08109092", "39269099", "72107010", "84733090", "94036090", "42029290")
DOCUMENT = ("QĐ-UBND", "TB-UBND", "KH-UBND", "BC-UBND", "CV-UBND")
INSURED = ("DN4", "HC4", "HS4", "GD4", "TE1", "HT3", "CN3")
MOBILE = ("090", "091", "093", "094", "096", "097", "098", "035", "077", "086")
ASCII_GIVEN = ("an", "binh", "chau", "dung", "giang", "hanh", "khoa", "lan", "minh", "nga", "phuc", "quan", "son", "thao", "vy")

LINE = ("tuyến", "đường", "sông", "kênh", "rạch", "đê")
"""A title with such a word has lines for geometry; one with a word of `AREA` has polygons; others have points."""
AREA = ("vùng", "khu", "cụm", "ranh", "thửa", "quy hoạch", "địa giới", "bản đồ", "rừng", "đất")
