SELECT
    code AS ma_co_quan,
    identifier AS ma_dinh_danh,
    identifier_scheme AS quy_chuan,
    CASE WHEN identifier IS NOT NULL THEN identifier_derived END AS suy_ra,
    name AS ten_don_vi,
    name_en AS ten_en,
    kind AS loai,
    CASE WHEN kind = 'ubnd-huyen' THEN split_part(code, '-', 2) END AS ma_huyen,
    CASE WHEN identifier IS NULL THEN 'Chưa có' WHEN identifier_derived THEN 'Suy ra' ELSE 'Chính thức' END AS tinh_trang_ma,
    CAST(NULL AS VARCHAR) AS ma_cha,
    CAST(NULL AS VARCHAR) AS dia_chi,
    nullif(email, '') AS email,
    nullif(phone, '') AS dien_thoai,
    CAST(NULL AS VARCHAR) AS so_quyet_dinh,
    identifier_valid_from AS ngay_hieu_luc,
    identifier_valid_to AS ngay_het_hieu_luc
FROM kho.agencies
