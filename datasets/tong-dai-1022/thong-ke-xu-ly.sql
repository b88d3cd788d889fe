SELECT
    CAST(thoi_diem AS DATE) AS ngay,
    linh_vuc,
    co_quan_xu_ly,
    count(*) AS tiep_nhan,
    count(*) FILTER (trang_thai = 'Đã xử lý') AS da_xu_ly,
    count(*) FILTER (trang_thai = 'Đã xử lý' AND ngay_xu_ly > han_xu_ly) AS tre_han,
    count(*) FILTER (trang_thai NOT IN ('Đã xử lý', 'Từ chối', 'Trùng phiếu')) AS dang_xu_ly,
    count(*) FILTER (trang_thai IN ('Từ chối', 'Trùng phiếu')) AS tu_choi,
    round(avg(date_diff('minute', thoi_diem, ngay_xu_ly)) FILTER (trang_thai = 'Đã xử lý') / 60, 2) AS thoi_gian_tb_gio,
    count(hai_long) AS co_danh_gia,
    round(100.0 * count(*) FILTER (hai_long) / nullif(count(hai_long), 0), 2) AS ty_le_hai_long_pct
FROM tong_dai_1022.phan_anh_kien_nghi
GROUP BY ALL
