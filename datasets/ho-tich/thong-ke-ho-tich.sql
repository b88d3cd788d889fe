WITH su_kien AS (
    SELECT ngay_dang_ky AS ngay, ma_xa_dang_ky AS ma_xa, 'Khai sinh' AS loai_viec, gioi_tinh, loai_dang_ky, phuong_thuc, dung_han
    FROM ho_tich.khai_sinh
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, 'Khai tử', gioi_tinh, loai_dang_ky, phuong_thuc, dung_han
    FROM ho_tich.khai_tu
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, 'Kết hôn', NULL, loai_dang_ky, phuong_thuc, dung_han
    FROM ho_tich.ket_hon
    UNION ALL
    SELECT ngay_cap, ma_xa_cap, 'Xác nhận tình trạng hôn nhân', gioi_tinh, NULL, phuong_thuc, dung_han
    FROM ho_tich.xac_nhan_tinh_trang_hon_nhan
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, loai_viec, gioi_tinh, NULL, phuong_thuc, dung_han
    FROM ho_tich.thay_doi_cai_chinh
)

SELECT
    CAST(year(ngay) AS VARCHAR) || CAST(quarter(ngay) AS VARCHAR) AS ky,
    ma_xa,
    loai_viec,
    count(*) AS so_luong,
    CASE WHEN loai_viec <> 'Kết hôn' THEN count(*) FILTER (gioi_tinh = 'Nam') END AS so_nam,
    CASE WHEN loai_viec <> 'Kết hôn' THEN count(*) FILTER (gioi_tinh = 'Nữ') END AS so_nu,
    CASE WHEN loai_viec IN ('Khai sinh', 'Khai tử') THEN count(*) FILTER (loai_dang_ky = 'Quá hạn') END AS dang_ky_qua_han,
    CASE WHEN loai_viec IN ('Khai sinh', 'Khai tử', 'Kết hôn') THEN count(*) FILTER (loai_dang_ky = 'Đăng ký lại') END AS dang_ky_lai,
    count(*) FILTER (phuong_thuc = 'Trực tuyến') AS truc_tuyen,
    count(*) FILTER (dung_han) AS dung_han,
    round(100.0 * count(*) FILTER (dung_han) / count(*), 2) AS ty_le_dung_han_pct
FROM su_kien
GROUP BY ky, ma_xa, loai_viec
