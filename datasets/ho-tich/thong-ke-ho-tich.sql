WITH su_kien AS (
    SELECT ngay_dang_ky AS ngay, ma_xa_dang_ky AS ma_xa, 'Khai sinh' AS loai_viec, dung_han FROM ho_tich.khai_sinh
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, 'Khai tử', dung_han FROM ho_tich.khai_tu
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, 'Kết hôn', dung_han FROM ho_tich.ket_hon
    UNION ALL
    SELECT ngay_cap, ma_xa_cap, 'Xác nhận tình trạng hôn nhân', dung_han FROM ho_tich.xac_nhan_tinh_trang_hon_nhan
    UNION ALL
    SELECT ngay_dang_ky, ma_xa_dang_ky, loai_viec, dung_han FROM ho_tich.thay_doi_cai_chinh
)

SELECT
    CAST(year(ngay) AS VARCHAR) || CAST(quarter(ngay) AS VARCHAR) AS ky,
    ma_xa,
    loai_viec,
    count(*) AS so_luong,
    count(*) FILTER (dung_han) AS dung_han
FROM su_kien
GROUP BY ALL
