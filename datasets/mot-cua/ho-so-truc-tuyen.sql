SELECT
    strftime(ngay_tiep_nhan, '%Y%m') AS ky,
    ma_tthc,
    ma_co_quan,
    count(*) AS tong_ho_so,
    count(*) FILTER (hinh_thuc_nop = 'Trực tuyến') AS truc_tuyen,
    count(*) FILTER (hinh_thuc_nop <> 'Trực tuyến') AS truc_tiep,
    count(*) FILTER (hinh_thuc_nop = 'Trực tuyến' AND hinh_thuc_tra = 'Trực tuyến') AS toan_trinh,
    round(100.0 * count(*) FILTER (hinh_thuc_nop = 'Trực tuyến') / count(*), 2) AS ty_le_pct
FROM mot_cua.ho_so
GROUP BY ALL
